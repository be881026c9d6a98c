// Brightness of the 40 cells along the top of the picture that a video shows now. Stands before the scripts that need it.
const canvas = document.createElement('canvas');
const context = canvas.getContext('2d', { willReadFrequently: true });
const cellsOf = (video) => {
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
  return cells;
};
