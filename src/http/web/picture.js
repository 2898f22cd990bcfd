// Any picture that the browser can show becomes an upright JPEG, which is what the server takes.
const MOST_PIXELS_AN_EDGE = 4096;
const HEAD = 262144; // where the EXIF data of a JPEG is looked for
const QUALITY = 0.95;

const SOI = 0xffd8, APP1 = 0xffe1, SOS = 0xffda, EXIF = 0x45786966;
const LITTLE_ENDIAN = 0x4949, ORIENTATION = 0x0112, UPRIGHT = 1;

function readOrientation(view, tiff, end) {
  const little = view.getUint16(tiff) === LITTLE_ENDIAN;
  const directory = tiff + view.getUint32(tiff + 4, little);
  const count = view.getUint16(directory, little);
  for (let i = 0; i < count; i++) {
    const entry = directory + 2 + 12 * i;
    if (entry + 12 > end) break;
    if (view.getUint16(entry, little) === ORIENTATION) return view.getUint16(entry + 8, little);
  }
  return UPRIGHT;
}

function orientation(view) {
  try {
    for (let at = 2; view.getUint8(at) === 0xff; at += 2 + view.getUint16(at + 2)) {
      const marker = view.getUint16(at);
      if (marker === SOS) break;
      if (marker === APP1 && view.getUint32(at + 4) === EXIF)
        return readOrientation(view, at + 10, at + 2 + view.getUint16(at + 2));
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error; // the data ends early
  }
  return UPRIGHT;
}

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

// A JPEG that lies as it should is sent as it is: its own pixels, not re-encoded ones. One that the
// browser cannot read is sent too, so that the server can say why not.
export async function toJpeg(file) {
  const head = new DataView(await file.slice(0, HEAD).arrayBuffer().catch(() => {
    throw new Error("It cannot be read; a folder's pictures have to be chosen one by one.");
  }));
  const isJpeg = head.byteLength > 2 && head.getUint16(0) === SOI;
  if (isJpeg && orientation(head) === UPRIGHT) return file;
  const picture = await decode(file);
  if (!picture && isJpeg) return file;
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
