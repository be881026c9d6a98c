# Holds a pod's namespaces open.
#   cargo xtask images && buildah bud -f deploy/images/pause.Dockerfile target/images/pause
FROM scratch
COPY passwd /etc/passwd
COPY pause /pause
ENV PATH=/usr/local/bin:/usr/bin:/bin:/
USER 65532:65532
ENTRYPOINT ["/pause"]
