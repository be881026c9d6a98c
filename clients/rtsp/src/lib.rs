//! RTSP probe: why a camera is down, what it sends.
