# The camera simulator with its clips.
#   cargo xtask images && buildah bud -f deploy/images/marsad-sim.Dockerfile target/images/marsad-sim
FROM scratch
COPY passwd /etc/passwd
COPY --chmod=1777 tmp/ /tmp/
COPY clips/ /clips/
COPY marsad-sim /marsad-sim
ENV PATH=/usr/local/bin:/usr/bin:/bin:/
USER 65532:65532
ENTRYPOINT ["/marsad-sim"]
