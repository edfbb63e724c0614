'use strict'

// A user's own model: how native code calls it, and how one is made of an ONNX file.

const { inspect } = require('node:util')
const { reasonOf } = require('./reason.js')

const MEMBERS = ['name', 'trainedUntil', 'predict', 'fit', 'predictTimeLimitMs', 'fitTimeLimitMs']

const refuse = (member, problem, value) => {
  const message = `argument \`model${member ? `.${member}` : ''}\` ${problem}; got ${value === undefined ? 'nothing' : inspect(value, { depth: 0 })}`
  throw Object.assign(new TypeError(message), { code: 'ERR_INVALID_ARGUMENT' })
}

/** Checks a user's model, and makes of it what native code takes: `{ about, ask }`. */
const ownModel = (model) => {
  if (model === undefined || model === null) return undefined
  if (typeof model !== 'object') refuse('', 'must be an object with `name` and `predict`', model)
  for (const member of Object.keys(model)) {
    if (!MEMBERS.includes(member)) refuse(member, `is no member of a model, which has ${MEMBERS.join(', ')}`, model[member])
  }
  const { name, trainedUntil, predict, fit, predictTimeLimitMs, fitTimeLimitMs } = model
  if (typeof predict !== 'function') refuse('predict', 'must be a function', predict)
  if (fit !== undefined && typeof fit !== 'function') refuse('fit', 'must be a function', fit)
  const about = { name, trainedUntil, canFit: fit !== undefined, predictTimeLimitMs, fitTimeLimitMs }
  return { about, ask: asked({ predict: predict.bind(model), fit: fit?.bind(model) }) }
}

/** The model as native code calls it. It never throws; a problem is part of the answer. */
const asked = (model) => async (what, markets, times, features, labels, weights, state, answer) => {
  let said
  try {
    const { featureNames } = require('./loading.js').load()
    const names = featureNames()
    let at = 0
    const batches = JSON.parse(markets).map(({ symbol, timeframe, rows }) => {
      const [from, until] = [at, at + rows]
      at = until
      const batch = { symbol, timeframe, names, times: times.subarray(from, until), features: features.subarray(from * names.length, until * names.length) }
      if (what === 'fit') Object.assign(batch, { labels: labels.subarray(2 * from, 2 * until), weights: weights.subarray(from, until) })
      return batch
    })
    said = await (what === 'fit' ? model.fit(batches) : model.predict(batches[0], state ?? undefined))
  } catch (error) {
    return answer(undefined, undefined, `failed: ${reasonOf(error)}`)
  }
  let read
  try {
    read = what === 'fit' ? stateOf(said) : probabilitiesOf(said)
  } catch (error) {
    read = { problem: `answered something that cannot be read: ${reasonOf(error)}` }
  }
  answer(read.probabilities, read.state, read.problem)
}

const stateOf = (said) =>
  said instanceof Uint8Array || Object.prototype.toString.call(said) === '[object Uint8Array]'
    ? { state: Uint8Array.from(said) }
    : { problem: `must answer its state as a Uint8Array; got ${inspect(said, { depth: 0 })}` }

/** Probabilities as a Float64Array: from numbers, two for each row, or from pairs of numbers. */
const probabilitiesOf = (said) => {
  if (ArrayBuffer.isView(said) && typeof said.length === 'number') return { probabilities: Float64Array.from(said) }
  if (!Array.isArray(said)) return { problem: `must answer a Float64Array or an array of numbers, two for each row; got ${inspect(said, { depth: 0 })}` }
  const numbers = said.flat()
  const odd = numbers.findIndex((number) => typeof number !== 'number')
  if (odd >= 0) return { problem: `must answer numbers; got ${inspect(numbers[odd], { depth: 0 })} in row ${Math.floor(odd / 2)}` }
  return { probabilities: Float64Array.from(numbers) }
}

/** Loads the user's `onnxruntime-node`, which is beside signalloop or where the process runs, or says how to get it. */
const onnxRuntime = () => {
  const { createRequire } = require('node:module')
  const { join } = require('node:path')
  let cause
  for (const from of [__filename, join(process.cwd(), 'index.js')]) {
    try {
      return createRequire(from)('onnxruntime-node')
    } catch (error) {
      // What fails in a runtime that was found says more than that the other place has none.
      if (cause === undefined || error?.code !== 'MODULE_NOT_FOUND') cause = error
    }
  }
  const [first] = reasonOf(cause).split('\n')
  const message = `onnxModel needs onnxruntime-node, which cannot be loaded: install it with \`npm install onnxruntime-node\`, or pass it as \`runtime\` (${first})`
  throw Object.assign(new Error(message, { cause }), { code: 'ERR_INVALID_ARGUMENT' })
}

/**
 * A model of an ONNX file: `path` answers both directions, or `{ buy, sell }` are two files that answer one each. See `OnnxOptions`
 * in index.d.ts.
 */
const onnxModel = async (path, options) => {
  const { name, trainedUntil, input, output, buy, sell, success = 1, runtime, rowsAtOnce = 4096, predictTimeLimitMs } = options ?? {}
  const ort = runtime ?? onnxRuntime()
  const open = (file) => ort.InferenceSession.create(file)
  const two = typeof path === 'object' && path !== null && !(path instanceof Uint8Array) && !(path instanceof URL)
  const sessions = two ? [await open(path.buy), await open(path.sell)] : [await open(path)]
  const outputs = two ? [output, output] : [buy ?? output, sell ?? output]
  const isJoint = !two && outputs[0] === outputs[1]

  const ask = async (session, features, rows, wanted) => {
    const tensor = new ort.Tensor('float32', Float32Array.from(features), [rows, features.length / rows])
    const names = session.outputNames
    const chosen = wanted.map((one) => one ?? names.find((name) => /prob/i.test(name)) ?? names[names.length - 1])
    for (const one of chosen) {
      if (!names.includes(one)) throw new Error(`the ONNX file has no output \`${one}\`; it has ${names.join(', ')}`)
    }
    const results = await session.run({ [input ?? session.inputNames[0]]: tensor }, [...new Set(chosen)])
    return chosen.map((one) => results[one])
  }

  const predict = async ({ times, features }) => {
    const [count, width] = [times.length, features.length / times.length]
    const said = new Float64Array(2 * count)
    for (let from = 0; from < count; from += rowsAtOnce) {
      const rows = Math.min(rowsAtOnce, count - from)
      const part = features.subarray(from * width, (from + rows) * width)
      if (isJoint) {
        const [both] = await ask(sessions[0], part, rows, [outputs[0]])
        for (let row = 0; row < rows; row++) {
          said[2 * (from + row)] = pairAt(both, row, rows, 0)
          said[2 * (from + row) + 1] = pairAt(both, row, rows, 1)
        }
        continue
      }
      const results = two
        ? [(await ask(sessions[0], part, rows, [outputs[0]]))[0], (await ask(sessions[1], part, rows, [outputs[1]]))[0]]
        : await ask(sessions[0], part, rows, outputs)
      for (let row = 0; row < rows; row++) {
        said[2 * (from + row)] = successAt(results[0], row, rows, success)
        said[2 * (from + row) + 1] = successAt(results[1], row, rows, success)
      }
    }
    return said
  }
  const model = { name: name ?? nameOf(two ? path.buy : path), trainedUntil, predict }
  return predictTimeLimitMs === undefined ? model : { ...model, predictTimeLimitMs }
}

const nameOf = (path) => (typeof path === 'string' ? require('node:path').basename(path).replace(/\.onnx$/, '') : 'onnx')

const unreadable = (output, rows, wanted) =>
  new Error(`the output of the ONNX file must be ${wanted}; got ${output?.dims ? `a tensor of ${output.dims.join(' × ')}` : inspect(output, { depth: 0 })} for ${rows} rows`)

/** The probability of a BUY (0) or a SELL (1) in a tensor of rows × 2. */
const pairAt = (output, row, rows, side) => {
  if (output?.data?.length !== 2 * rows) throw unreadable(output, rows, 'a tensor of rows × 2, BUY and SELL')
  return Number(output.data[2 * row + side])
}

/** The probability of success: of a tensor of rows × 1 or rows × classes, or of a ZipMap, a map of classes for each row. */
const successAt = (output, row, rows, success) => {
  if (Array.isArray(output)) {
    const classes = output[row]
    return Number(classes instanceof Map ? (classes.get(success) ?? classes.get(BigInt(success)) ?? classes.get(String(success))) : classes?.[success])
  }
  const width = output?.data ? output.data.length / rows : NaN
  if (width === 1) return Number(output.data[row])
  if (Number.isInteger(width) && success < width) return Number(output.data[width * row + success])
  throw unreadable(output, rows, 'a tensor of rows × 1 or rows × classes, or a ZipMap')
}

module.exports = { onnxModel, ownModel }
