// Any picture that the browser can show becomes a JPEG, which is what the server takes.
const MOST_PIXELS_AN_EDGE = 4096;
const QUALITY = 0.95;
const SOI = 0xffd8;

// What the browser can show, or null. SVG is shown by elements only.
async function decode(file) {
  const bitmap = await createImageBitmap(file, { imageOrientation: "from-image" }).catch(() => null);
  if (bitmap) return { source: bitmap, width: bitmap.width, height: bitmap.height };
  const image = new Image();
  image.src = URL.createObjectURL(file);
  const shown = await image.decode().then(() => image.naturalWidth > 0, () => false);
  URL.revokeObjectURL(image.src);
  return shown ? { source: image, width: image.naturalWidth, height: image.naturalHeight } : null;
}

// A JPEG is sent as it is: its own pixels, not re-encoded ones. One that the browser cannot read is
// sent too, so that the server can say why not.
export async function toJpeg(file) {
  const head = new DataView(await file.slice(0, 2).arrayBuffer().catch(() => {
    throw new Error("It cannot be read; a folder's pictures have to be chosen one by one.");
  }));
  if (head.byteLength === 2 && head.getUint16(0) === SOI) return file;
  const picture = await decode(file);
  if (!picture) throw new Error("This browser cannot read the file as a picture; send a JPEG.");
  const scale = Math.min(1, MOST_PIXELS_AN_EDGE / Math.max(picture.width, picture.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(picture.width * scale));
  canvas.height = Math.max(1, Math.round(picture.height * scale));
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff"; // under what is transparent
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(picture.source, 0, 0, canvas.width, canvas.height);
  picture.source.close?.();
  const jpeg = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));
  if (!jpeg) throw new Error("This browser has no memory to convert the picture; send a JPEG.");
  return jpeg;
}
