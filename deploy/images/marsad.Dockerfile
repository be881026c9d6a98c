# All roles of Marsad, and the page.
#   cargo xtask images && buildah bud -f deploy/images/marsad.Dockerfile target/images/marsad
FROM scratch
COPY passwd /etc/passwd
COPY --chmod=1777 tmp/ /tmp/
COPY dashboard/ /dashboard/
COPY marsad /marsad
ENV PATH=/usr/local/bin:/usr/bin:/bin:/
USER 65532:65532
ENTRYPOINT ["/marsad"]
