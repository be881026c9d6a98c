// Arguments: camera id, how many frames, for how long at most (ms), callback.
// Answers {frames: [{shown, width, cells}]} or {error}.
const [cameraId, wanted, within, done] = arguments;
const video = document.querySelector(`[data-testid=tile][data-camera-id='${cameraId}'] video`);
if (!video) return done({ error: `no video of ${cameraId}` });
const canvas = document.createElement('canvas');
const context = canvas.getContext('2d', { willReadFrequently: true });
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
  const cell = width / 40;
  canvas.width = width;
  canvas.height = Math.max(1, Math.floor(cell));
  context.drawImage(video, 0, 0);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  // The middle half of each cell, both ways: edges are blurred by the encoder.
  const cells = [];
  for (let index = 0; index < 40; index += 1) {
    let sum = 0;
    let count = 0;
    for (let y = Math.floor(cell / 4); y < (cell * 3) / 4; y += 1) {
      for (let x = Math.ceil((index + 0.25) * cell); x < (index + 0.75) * cell; x += 1) {
        const at = (y * canvas.width + x) * 4;
        sum += 0.299 * data[at] + 0.587 * data[at + 1] + 0.114 * data[at + 2];
        count += 1;
      }
    }
    cells.push(sum / count);
  }
  frames.push({ shown, width, cells });
  if (frames.length >= wanted) end();
  else video.requestVideoFrameCallback(step);
};
video.requestVideoFrameCallback(step);
