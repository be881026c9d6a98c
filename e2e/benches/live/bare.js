// Arguments: phase of the click in the second (ms), url, token, forward or null, deadline (ms), callback.
// forward: {url, body}: a PATCH of MediaMTX, sent at the click. Answers {took} (ms from the click) or {error}.
const [phase, url, token, forward, deadline, done] = arguments;
const now = Date.now();
const wait = 300 + ((phase - ((now + 300) % 1000) + 1000) % 1000);
setTimeout(() => done({ error: `no frame within ${deadline} ms` }), wait + deadline);
setTimeout(() => {
  const clicked = performance.now();
  const failed = (what) => (error) => done({ error: `${what}: ${error}` });
  if (forward) {
    fetch(forward.url, { method: 'PATCH', headers: { 'content-type': 'application/json' }, body: forward.body })
      .then((answer) => answer.ok || done({ error: `forward: ${answer.status}` }))
      .catch(failed('forward'));
  }
  window.join(url, token, (shown) => done({ took: shown - clicked })).catch(failed('join'));
}, wait);
