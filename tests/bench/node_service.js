// The service that a team would otherwise write: Node's http, sharp (libvips) and ONNX Runtime.
//   node node_service.js MODEL.onnx CONFIG.json PORT WORKERS THREADS       POST / with a JPEG
// WORKERS processes share the port; each session has THREADS threads.
'use strict';
const cluster = require('cluster');
const fs = require('fs');
const http = require('http');
const ort = require('onnxruntime-node');
const sharp = require('sharp');

const [modelPath, configPath, port, workers, threads] = process.argv.slice(2);
const whole = JSON.parse(fs.readFileSync(configPath));
const config = whole.pretrained_cfg || whole;
const size = config.input_size[1];
const shortEdge = config.resize_size || Math.floor(size / (config.crop_pct || 0.875));
const kernel = config.interpolation === 'bicubic' ? 'cubic' : 'linear';

async function pixels(jpeg) {
  const image = sharp(jpeg);
  const { width, height } = await image.metadata();
  const factor = shortEdge / Math.min(width, height);
  const [w, h] = [width, height].map((edge) => Math.max(shortEdge, Math.trunc(edge * factor)));
  return image.resize(w, h, { fit: 'fill', kernel })
    .extract({ left: (w - size) >> 1, top: (h - size) >> 1, width: size, height: size })
    .toColourspace('srgb').removeAlpha().raw().toBuffer();
}

function normalised(rgb) {
  const plane = size * size;
  const x = new Float32Array(3 * plane);
  for (let c = 0; c < 3; c++) {
    const factor = 1 / (255 * config.std[c]);
    const offset = config.mean[c] / config.std[c];
    for (let i = 0; i < plane; i++) x[c * plane + i] = rgb[3 * i + c] * factor - offset;
  }
  return new ort.Tensor('float32', x, [1, 3, size, size]);
}

function likeliest(logits) {
  const top = Math.max(...logits);
  const powers = Array.from(logits, (z) => Math.exp(z - top));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((p, i) => ({ class_id: i, score: p / sum }))
    .sort((a, b) => b.score - a.score).slice(0, 5);
}

async function serve() {
  sharp.concurrency(1);
  const session = await ort.InferenceSession.create(modelPath, {
    intraOpNumThreads: Number(threads), interOpNumThreads: 1, graphOptimizationLevel: 'all',
  });
  http.createServer(async (request, response) => {
    try {
      const parts = [];
      for await (const part of request) parts.push(part);
      const { y } = await session.run({ x: normalised(await pixels(Buffer.concat(parts))) });
      response.setHeader('Content-Type', 'application/json');
      response.end(JSON.stringify({ predictions: likeliest(y.data) }));
    } catch (error) {
      response.statusCode = 422;
      response.end(JSON.stringify({ error: String(error) }));
    }
  }).listen(Number(port), '127.0.0.1');
}

if (cluster.isPrimary) for (let i = 0; i < Number(workers); i++) cluster.fork();
else serve();
