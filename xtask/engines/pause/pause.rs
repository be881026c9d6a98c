//! The process that holds a pod's namespaces open: it waits until it is killed.
//! (containerd ends a sandbox with SIGKILL, so no signal needs to be handled.)

fn main() {
    loop {
        std::thread::park();
    }
}
