# The shell that makes and removes folders of volumes on the local node.
#   cargo xtask images && buildah bud -f deploy/images/busybox.Dockerfile target/images/busybox
FROM scratch
COPY passwd /etc/passwd
COPY busybox /bin/sh
ENV PATH=/usr/local/bin:/usr/bin:/bin:/
USER 65532:65532
ENTRYPOINT ["/bin/sh"]
