# MediaMTX, the ingest engine.
#   cargo xtask images && buildah bud -f deploy/images/mediamtx.Dockerfile target/images/mediamtx
FROM scratch
COPY passwd /etc/passwd
COPY --chmod=1777 tmp/ /tmp/
COPY mediamtx /mediamtx
ENV PATH=/usr/local/bin:/usr/bin:/bin:/
USER 65532:65532
ENTRYPOINT ["/mediamtx"]
