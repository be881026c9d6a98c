// Arguments: camera id. Answers {width, cells, text} of the last picture in the camera's tile, or null while none is decoded.
const [cameraId] = arguments;
const tile = document.querySelector(`[data-testid=tile][data-camera-id='${cameraId}']`);
const video = tile?.querySelector('[data-testid=tile-still]');
if (!video || video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) return null;
return { width: video.videoWidth, cells: cellsOf(video), text: tile.innerText };
