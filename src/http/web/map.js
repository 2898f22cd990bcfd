// Draws a class activation map over the part of the picture that the network saw.
const PIXELS_A_CELL = 32;

// Dark violet to pale yellow, in equal steps of lightness.
const COLOURS = [[59, 15, 112], [140, 41, 129], [222, 73, 104], [254, 159, 109], [252, 253, 191]];
const FAINT = 0.15, STRONG = 0.72; // opacity of the least and the most

function colour(part) {
  const at = part * (COLOURS.length - 1), i = Math.min(Math.floor(at), COLOURS.length - 2);
  return COLOURS[i].map((c, k) => c + (at - i) * (COLOURS[i + 1][k] - c));
}

// The crop: its left, top, width and height as parts of the picture's, which is measured as it is
// shown: naturalWidth does not heed image-orientation.
function seen(image, model) {
  const part = model?.resize_size ? model.input_size / model.resize_size : 1;
  const { width, height } = image.getBoundingClientRect(), edge = Math.min(width, height);
  const squash = model?.crop_mode === "squash";
  const w = squash ? part : part * edge / width, h = squash ? part : part * edge / height;
  return [(1 - w) / 2, (1 - h) / 2, w, h];
}

// Rows may be numbers one after the other, or lists.
export function drawMap(canvas, image, { rows, cols, values }, model) {
  const cells = values.flat(), least = Math.min(...cells), most = Math.max(...cells);
  const small = document.createElement("canvas");
  small.width = cols;
  small.height = rows;
  const context = small.getContext("2d"), pixels = context.createImageData(cols, rows);
  cells.forEach((value, i) => {
    const part = most > least ? (value - least) / (most - least) : 0;
    pixels.data.set([...colour(part), 255 * (FAINT + part * (STRONG - FAINT))], 4 * i);
  });
  context.putImageData(pixels, 0, 0);
  canvas.width = cols * PIXELS_A_CELL;
  canvas.height = rows * PIXELS_A_CELL;
  const large = canvas.getContext("2d");
  large.imageSmoothingQuality = "high";
  large.drawImage(small, 0, 0, canvas.width, canvas.height);
  ["left", "top", "width", "height"].forEach((side, i) => {
    canvas.style[side] = `${100 * seen(image, model)[i]}%`;
  });
  canvas.hidden = false;
}
