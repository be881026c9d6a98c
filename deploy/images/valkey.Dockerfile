# Valkey and the libraries that it needs.
#   cargo xtask images && buildah bud -f deploy/images/valkey.Dockerfile target/images/valkey
FROM scratch
COPY passwd /etc/passwd
COPY --chmod=1777 tmp/ /tmp/
COPY valkey/ /
ENV PATH=/usr/local/bin:/usr/bin:/bin:/
USER 65532:65532
ENTRYPOINT ["/usr/bin/valkey-server"]
