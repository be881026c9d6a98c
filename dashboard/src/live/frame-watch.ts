/**
 * Calls `onFrame` for each new frame that `element` presents, until the returned function is called. A frame
 * presented twice (same RTP time) is not a new one.
 */
export function watchFrames(element: HTMLVideoElement, onFrame: () => void): () => void {
  let handle = 0;
  let lastRtp: number | undefined;
  const next = (_now: number, metadata: VideoFrameCallbackMetadata) => {
    handle = element.requestVideoFrameCallback(next);
    const rtp = metadata.rtpTimestamp;
    if (rtp !== undefined && rtp === lastRtp) return;
    lastRtp = rtp;
    onFrame();
  };
  handle = element.requestVideoFrameCallback(next);
  return () => element.cancelVideoFrameCallback(handle);
}
