// Arguments: phase of the click in the second (ms), camera id, deadline (ms), callback.
// Answers {took} (ms from the click to the first frame, by the page's own marks) or {error}.
const [phase, cameraId, deadline, done] = arguments;
const row = document.querySelector(`[data-testid=camera-row][data-camera-id='${cameraId}'] button`);
if (!row) return done({ error: `no row of ${cameraId}` });
const click = `marsad:click:${cameraId}`;
const firstFrame = `marsad:first-frame:${cameraId}`;
const seen = new PerformanceObserver((list) => {
  const shown = list.getEntriesByName(firstFrame)[0];
  if (!shown) return;
  seen.disconnect();
  done({ took: shown.startTime - performance.getEntriesByName(click)[0].startTime });
});
const now = Date.now();
const wait = 300 + ((phase - ((now + 300) % 1000) + 1000) % 1000);
setTimeout(() => {
  const tile = document.querySelector(`[data-testid=tile][data-camera-id='${cameraId}']`);
  done({ error: `no frame within ${deadline} ms; the tile is ${tile?.dataset.state} ${tile?.dataset.reason ?? ''}` });
}, wait + deadline);
setTimeout(() => {
  seen.observe({ type: 'mark' });
  row.click();
}, wait);
