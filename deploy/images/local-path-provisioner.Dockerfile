# Volumes of the local node.
#   cargo xtask images && buildah bud -f deploy/images/local-path-provisioner.Dockerfile target/images/local-path-provisioner
FROM scratch
COPY passwd /etc/passwd
COPY local-path-provisioner /local-path-provisioner
ENV PATH=/usr/local/bin:/usr/bin:/bin:/
USER 65532:65532
ENTRYPOINT ["/local-path-provisioner"]
