# Cluster DNS of the local cluster.
#   cargo xtask images && buildah bud -f deploy/images/coredns.Dockerfile target/images/coredns
FROM scratch
COPY passwd /etc/passwd
COPY coredns /coredns
ENV PATH=/usr/local/bin:/usr/bin:/bin:/
USER 65532:65532
ENTRYPOINT ["/coredns"]
