// Times ONNX Runtime, one line of JSON: median_ms an image, and the last logits of the first image.
//   node time_onnxruntime.js MODEL.onnx SIZE THREADS BATCH SECONDS [INPUT.f32]
// INPUT.f32 is one normalised image, [3, SIZE, SIZE] of little-endian float32; else noise.
'use strict';
const fs = require('fs');
const ort = require('onnxruntime-node');

function inputTensor(size, batch, file) {
  const image = 3 * size * size;
  const data = new Float32Array(batch * image);
  if (file) {
    const bytes = fs.readFileSync(file);
    const one = new Float32Array(bytes.buffer, bytes.byteOffset, image);
    for (let i = 0; i < batch; i++) data.set(one, i * image);
  } else {
    let state = 1; // Park and Miller
    for (let i = 0; i < data.length; i++) {
      state = (state * 48271) % 2147483647;
      data[i] = 4 * (state / 2147483647) - 2;
    }
  }
  return new ort.Tensor('float32', data, [batch, 3, size, size]);
}

async function main([model, ...words]) {
  const [size, threads, batch, seconds] = words.slice(0, 4).map(Number);
  const session = await ort.InferenceSession.create(model, {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    graphOptimizationLevel: 'all',
  });
  const x = inputTensor(size, batch, words[4]);
  let y;
  for (let i = 0; i < 3; i++) ({ y } = await session.run({ x }));
  const times = [];
  const end = performance.now() + 1000 * seconds;
  do {
    const start = performance.now();
    ({ y } = await session.run({ x }));
    times.push(performance.now() - start);
  } while (performance.now() < end);
  times.sort((a, b) => a - b);
  console.log(JSON.stringify({
    median_ms: times[times.length >> 1] / batch,
    logits: Array.from(y.data.slice(0, y.dims[1])),
  }));
}

main(process.argv.slice(2));
