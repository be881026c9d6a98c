// Arguments: camera id, how many frames, for how long at most (ms), callback.
// Answers {frames: [{shown, width, cells}]} or {error}.
const [cameraId, wanted, within, done] = arguments;
const video = document.querySelector(`[data-testid=tile][data-camera-id='${cameraId}'] video`);
if (!video) return done({ error: `no video of ${cameraId}` });
const frames = [];
let ended = false;
const end = () => {
  if (!ended) done({ frames });
  ended = true;
};
setTimeout(end, within);
const step = () => {
  if (ended) return;
  const shown = Math.round(performance.timeOrigin + performance.now());
  const width = video.videoWidth;
  frames.push({ shown, width, cells: cellsOf(video) });
  if (frames.length >= wanted) end();
  else video.requestVideoFrameCallback(step);
};
video.requestVideoFrameCallback(step);
