import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { onnxModel, type OwnModel, type OwnModelBatch, type OwnModelLabels, type SignalLoop } from '..'
import { candles, storeCandles } from './helpers/candles'
import { ROOT, runNode } from './helpers/child'
import { failure, newHome, newLoop } from './helpers/home'

const ONE = { symbols: ['BTCUSDT'], timeframes: ['1h'], fetch: false } as const
const MARKET = { symbol: 'BTCUSDT', timeframe: '1h' } as const
const ROWS = candles(1200)

/** A loop with candles and this model. */
const ready = (model?: OwnModel, home = newHome()): SignalLoop => {
  storeCandles(home, ROWS)
  return newLoop({ home, ...(model && { model }) })
}

const trained = async (loop: SignalLoop) => {
  const { results } = await loop.train(ONE)
  expect(results[0]!.error).toBeUndefined()
  return results[0]!
}

/** What happened at each time, told by a training to a model with `fit`. */
const outcomes = async (): Promise<Map<number, [number, number]>> => {
  const known = new Map<number, [number, number]>()
  const fit = (batches: OwnModelLabels[]) => {
    for (const { times, labels } of batches) {
      times.forEach((time, row) => {
        known.set(time, [labels[2 * row]!, labels[2 * row + 1]!])
      })
    }
    return new Uint8Array()
  }
  await trained(ready({ name: 'spy', fit, predict: ({ times }) => new Float64Array(2 * times.length) }))
  return known
}

/** A model that knows three quarters of all outcomes, and noise of the others. */
const knowing = async (calls: { rows: number[] } = { rows: [] }): Promise<OwnModel> => {
  const known = await outcomes()
  const says = (time: number): [number, number] => {
    const noise = Math.abs(Math.sin(time / 3_600_000)) > 0.25
    const [buy, sell] = noise ? (known.get(time) ?? [0, 1]) : [0, 0]
    return [0.3 + 0.3 * buy, 0.3 + 0.3 * sell]
  }
  return {
    name: 'seer',
    trainedUntil: null,
    predict: async ({ times }) => {
      calls.rows.push(times.length)
      return Array.from(times, says)
    },
  }
}

test('a constant gets no weight and changes nothing', async () => {
  const model: OwnModel = { name: 'flat', trainedUntil: null, predict: ({ times }) => new Float64Array(2 * times.length).fill(0.5) }
  const [without, withIt] = [await trained(ready()), await trained(ready(model))]
  const { families, ownModel, trainedAt: _, pool: __, ...figures } = withIt.model!
  const { families: plain, trainedAt: ___, pool: ____, ...expected } = without.model!
  expect(figures).toEqual(expected)
  expect(families).toEqual([...plain, { family: 'own', buy: 0, sell: 0 }])
  expect(ownModel).toEqual({ name: 'flat', fitted: false, buy: { weight: 0, rows: expect.any(Number) }, sell: { weight: 0, rows: expect.any(Number) } })
  expect(without.model).not.toHaveProperty('ownModel')
})

test('what a model learned by heart before `trainedUntil` gives it no weight', async () => {
  const known = await outcomes()
  const times = [...known.keys()].sort((a, b) => a - b)
  const until = times[Math.floor(0.7 * times.length)]!
  const asked: number[] = []
  const predict = (batch: OwnModelBatch) => {
    asked.push(...batch.times)
    return Array.from(batch.times, (time): [number, number] => (time < until ? (known.get(time) as [number, number]) : [0.3 + 0.1 * Math.abs(Math.sin(time)), 0.3]))
  }
  const { model } = await trained(ready({ name: 'heart', trainedUntil: new Date(until), predict }))
  expect(Math.min(...asked)).toBeGreaterThanOrEqual(until)
  expect(model!.ownModel).toMatchObject({ trainedUntil: new Date(until).toISOString(), buy: { weight: 0 }, sell: { weight: 0 } })
  expect(model!.ownModel!.buy.rows).toBe(times.filter((time) => time >= until).length)
  // Had it hidden that, it would have been believed.
  const liar = await trained(ready({ name: 'liar', trainedUntil: null, predict }))
  expect(liar.model!.ownModel!.buy.weight).toBeGreaterThan(0.2)
})

test('a model that knows something is weighed, served, asked once per candle, and missed where it is not given', async () => {
  const calls = { rows: [] as number[] }
  const home = newHome()
  const loop = ready(await knowing(calls), home)
  const result = await trained(loop)
  expect([result.promoted, result.model!.hasSkill]).toEqual([true, true])
  const { ownModel, families } = result.model!
  expect(ownModel!.buy.weight).toBeGreaterThan(0.3)
  expect(ownModel!.buy.slope! - 2 * ownModel!.buy.slopeError!).toBeGreaterThan(0.3)
  expect(families.at(-1)).toEqual({ family: 'own', buy: ownModel!.buy.weight, sell: ownModel!.sell.weight })
  expect((await loop.models())[0]).toMatchObject({ model: { ownModel: { name: 'seer' } } })

  calls.rows.length = 0
  const first = await loop.predict(MARKET)
  const answers = await Promise.all(Array.from({ length: 20 }, () => loop.predict(MARKET)))
  expect(answers.every((answer) => answer.probabilities.BUY === first.probabilities.BUY)).toBe(true)
  expect(calls.rows).toEqual([1])
  const signal = { ...MARKET, signalType: 'BUY', entryPrice: first.price, stopLoss: 0.98 * first.price, takeProfit: 1.04 * first.price } as const
  const assessed = await loop.feedbackTracker.assess({ ...signal, timestamp: Date.now() })
  expect(assessed.prior).toBeGreaterThan(0)
  await loop.feedbackTracker.assess({ ...signal, timestamp: Date.now() })
  expect(calls.rows).toEqual([1])

  // Another process that was not given it.
  const other = newLoop({ home })
  const missing = await failure(() => other.predict(MARKET))
  expect(missing).toMatchObject({ code: 'ERR_OWN_MODEL', message: expect.stringContaining('weighs your model `seer`, but this process was given none') })
  const without = await other.feedbackTracker.assess({ ...signal, timestamp: Date.now() })
  expect(without).not.toHaveProperty('prior')
  expect(without.reasons.at(-1)).toMatch(/^what candles say is left out: the model in service weighs your model `seer`/)
})

test('a model with `fit` is fitted in each fold, and its state is stored', async () => {
  const [states, fits, home] = [[] as number[], [] as OwnModelLabels[][], newHome()]
  const model: OwnModel = {
    name: 'fitted',
    fit: async (batches) => {
      fits.push(batches)
      return Uint8Array.of(fits.length)
    },
    predict: ({ times, features, names }, state) => {
      expect([times.length * names.length, names.length]).toEqual([features.length, 46])
      states.push(state![0]!)
      return Float32Array.from({ length: 2 * times.length }, (_, at) => 0.3 + 0.001 * (at % 7))
    },
  }
  const loop = ready(model, home)
  const { model: info } = await trained(loop)
  expect(info!.ownModel).toMatchObject({ name: 'fitted', fitted: true })
  expect(states).toEqual([1, 2, 3, 4, 5])
  expect(fits).toHaveLength(6)
  for (const [{ symbol, times, labels, weights }] of fits as [OwnModelLabels][]) {
    expect([symbol, labels.length, weights.length]).toEqual(['BTCUSDT', 2 * times.length, times.length])
    expect(Math.min(...weights)).toBeGreaterThan(0)
  }
  expect(fits[5]![0]!.times.length).toBe(info!.rows)
})

test('a model that fails fails that training only, by name, and the model in service stays', async () => {
  const home = newHome()
  await trained(ready(undefined, home))
  const wrong: [string, OwnModel['predict'], RegExp][] = [
    ['throws', () => { throw new Error('no weights') }, /`predict` failed: no weights/],
    ['rejects', () => Promise.reject(new Error('offline')), /`predict` failed: offline/],
    ['short', () => [0.5], /two numbers for each of the \d+ rows of BTCUSDT 1h, \d+ in all; got 1$/],
    ['nan', ({ times }) => new Float64Array(2 * times.length).fill(NaN), /got NaN for a BUY in row 0 of BTCUSDT 1h/],
    ['large', ({ times }) => new Float64Array(2 * times.length).fill(50), /probabilities from 0 to 1; got 50 for a BUY/],
    ['text', (() => 'high') as unknown as OwnModel['predict'], /must answer a Float64Array or an array of numbers, two for each row; got 'high'/],
    ['words', (({ times }: OwnModelBatch) => Array(2 * times.length).fill('0.5')) as unknown as OwnModel['predict'], /must answer numbers; got '0.5' in row 0/],
    ['silent', () => new Promise(() => {}), /`predict` has not answered within 300 ms/],
  ]
  for (const [name, predict, message] of wrong) {
    const { results } = await ready({ name, trainedUntil: null, predict, predictTimeLimitMs: 300 }, home).train(ONE)
    expect(results[0]).toMatchObject({ success: false, error: { code: 'ERR_OWN_MODEL', message: expect.stringMatching(message) } })
    expect(results[0]!.error!.message).toContain(`your model \`${name}\``)
  }
  const fit = (() => 'state') as unknown as NonNullable<OwnModel['fit']>
  const { results } = await ready({ name: 'stateless', predict: () => [], fit }, home).train(ONE)
  expect(results[0]!.error!.message).toMatch(/`fit` must answer its state as a Uint8Array; got 'state'/)
  await newLoop({ home }).predict(MARKET)
})

test('a training that waits for a model can be aborted', async () => {
  const abort = new AbortController()
  const model: OwnModel = { name: 'slow', trainedUntil: null, predict: () => new Promise(() => setTimeout(() => abort.abort(), 10)) }
  const stopped = await failure(() => ready(model).train({ ...ONE, signal: abort.signal }))
  expect(stopped.code).toBe('ERR_CANCELLED')
})

test('a wrong model is refused by the name of its member', async () => {
  const predict = () => []
  const cases: [unknown, RegExp][] = [
    ['trend', /argument `model` must be an object/],
    [{ name: 'x', trainedUntil: null }, /`model.predict` must be a function; got nothing/],
    [{ name: 'x', predict }, /`model.trainedUntil` must say until when the model has seen outcomes, or be null/],
    [{ name: 'x', predict, trainedUntil: 'soon' }, /model.trainedUntil/],
    [{ name: 'x', predict, trainedUntil: Date.now() + 1e9 }, /`model.trainedUntil` must not lie in the future/],
    [{ name: 'x', predict, fit: predict, trainedUntil: null }, /must be missing for a model with `fit`/],
    [{ name: '', predict, trainedUntil: null }, /name/],
    [{ predict, trainedUntil: null }, /`model.name` must be a text/],
    [{ name: 'x', predict, trainedUntil: null, fit: 1 }, /`model.fit` must be a function; got 1/],
    [{ name: 'x', predict, trainedUntil: null, predictTimeLimitMs: 0 }, /predictTimeLimitMs/],
    [{ name: 'x', predict, trainedUntil: null, trainedTill: 1 }, /`model.trainedTill` is no member of a model/],
  ]
  for (const [model, message] of cases) {
    const error = await failure(() => newLoop({ model: model as OwnModel }))
    expect(error).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', message: expect.stringMatching(message) })
  }
})

const CLI = join(ROOT, 'bin', 'signalloop.js')

test('the command line loads the model that the configuration names, and writes features to train one', async () => {
  const home = newHome()
  storeCandles(home, ROWS)
  const configure = (model: string) =>
    writeFileSync(join(home, 'training_config.json'), JSON.stringify({ symbols: ['BTCUSDT'], timeframes: ['1h'], trees: 10, model }))
  mkdirSync(join(home, 'models-of-mine'))
  writeFileSync(
    join(home, 'models-of-mine', 'mine.mjs'),
    `export default { name: 'mine', trainedUntil: null, predict: ({ times }) => Array.from(times, (time) => [0.3 + 0.01 * Math.sin(time), 0.3]) }`,
  )
  configure('models-of-mine/mine.mjs')
  const run = (...args: string[]) => runNode([CLI, ...args, '--home', home, '--json'])
  const train = await run('train', '--no-fetch')
  expect(train.code).toBe(0)
  expect(JSON.parse(train.stdout)).toMatchObject({ results: [{ record: { own: { name: 'mine' } } }] })

  const out = join(home, 'rows.csv')
  expect((await run('data', 'features', '--out', out)).code).toBe(0)
  const [header, ...lines] = readFileSync(out, 'utf8').trimEnd().split('\n').map((line) => line.split(','))
  expect([header!.slice(0, 4), header!.slice(-2), header!.length]).toEqual([['symbol', 'timeframe', 'time', 'decided'], ['buy', 'sell'], 52])
  const known = await outcomes()
  expect(lines.map((line) => [Number(line[2]), line.slice(-2).map(Number)])).toEqual([...known].sort(([a], [b]) => a - b))

  configure('gone.mjs')
  const failed = await run('train', '--no-fetch')
  expect([failed.code, failed.stderr]).toEqual([1, expect.stringContaining('gone.mjs cannot be loaded')])
})

test('a process that does not load the configured model says so', async () => {
  const loop = ready()
  loop.configure({ model: 'mine.mjs' })
  const warnings: string[] = []
  loop.onEvent((event) => event.type === 'warning' && warnings.push(event.message))
  await trained(loop)
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect(warnings).toEqual([expect.stringContaining('names mine.mjs, which only the command line loads')])
})

/** A runtime whose sessions answer what `outputs` says for the first feature of each row. */
const runtime = (outputs: Record<string, (first: number[]) => unknown>) => ({
  Tensor: class {
    constructor(
      readonly type: string,
      readonly data: Float32Array,
      readonly dims: number[],
    ) {}
  },
  InferenceSession: {
    create: async (file: string) => ({
      inputNames: ['input'],
      outputNames: Object.keys(outputs),
      run: async ({ input }: { input: { data: Float32Array; dims: number[] } }, wanted: string[]) => {
        const [rows, width] = input.dims as [number, number]
        const first = Array.from({ length: rows }, (_, row) => input.data[row * width]! + (file === 'sell.onnx' ? 0.5 : 0))
        return Object.fromEntries(wanted.map((name) => [name, outputs[name]!(first)]))
      },
    }),
  },
})

test('onnxModel reads tensors and ZipMaps of one file or two', async () => {
  const batch = { symbol: 'BTCUSDT', timeframe: '1h', times: new Float64Array(3), features: Float64Array.of(0.125, 9, 0.25, 9, 0.375, 9), names: ['a', 'b'] } as const
  const rounded = async (model: OwnModel) => Array.from((await model.predict(batch)) as Float64Array)
  const tensor = (width: number, of: (first: number) => number[]) => (first: number[]) => ({ data: first.flatMap(of), dims: [first.length, width] })
  const classes = tensor(2, (first) => [1 - first, first])
  const zipMap = (first: number[]) => first.map((one) => new Map([[0n, 1 - one], [1n, one]]))
  const expected = [0.125, 0.625, 0.25, 0.75, 0.375, 0.875]
  const two = { buy: 'buy.onnx', sell: 'sell.onnx' }
  for (const outputs of [{ label: classes, probabilities: classes }, { label: classes, output_probability: zipMap }, { probabilities: tensor(1, (first) => [first]) }]) {
    const model = await onnxModel(two, { trainedUntil: null, runtime: runtime(outputs), rowsAtOnce: 2 })
    expect([model.name, await rounded(model)]).toEqual(['buy', expected])
  }
  const named = { up: classes, down: tensor(2, (first) => [0.5 - first, 0.5 + first]) }
  const one = await onnxModel('trend.onnx', { trainedUntil: '2026-01-01T00:00:00Z', buy: 'up', sell: 'down', runtime: runtime(named) })
  expect([one.name, one.trainedUntil, await rounded(one)]).toEqual(['trend', '2026-01-01T00:00:00Z', expected])
  const joint = await onnxModel('trend.onnx', { trainedUntil: null, runtime: runtime({ probabilities: tensor(2, (first) => [first, 0.5 + first]) }) })
  expect(await rounded(joint)).toEqual(expected)
  const wrong = await onnxModel('trend.onnx', { trainedUntil: null, output: 'nothing', runtime: runtime(named) })
  expect((await failure(() => wrong.predict(batch))).message).toBe('the ONNX file has no output `nothing`; it has up, down')
  const missing = await failure(() => onnxModel('trend.onnx', { trainedUntil: null }))
  expect(missing).toMatchObject({ code: 'ERR_INVALID_ARGUMENT', message: expect.stringContaining('npm install onnxruntime-node') })
})

test('a replay asks the model, and only about candles after its training', async () => {
  const asked: number[] = []
  const known = await outcomes()
  const times = [...known.keys()].sort((a, b) => a - b)
  const until = times[Math.floor(0.4 * times.length)]!
  const model: OwnModel = {
    name: 'seer',
    trainedUntil: until,
    predict: ({ times }) => {
      asked.push(...times)
      return Array.from(times, (time): [number, number] => {
        const [buy, sell] = known.get(time) ?? [0, 1]
        return [0.3 + 0.3 * buy, 0.3 + 0.3 * sell]
      })
    },
  }
  const loop = ready(model)
  loop.configure({ symbols: ['BTCUSDT'], timeframes: ['1h'] })
  const { happened } = await loop.replay({
    own: true,
    from: times.at(-200)!,
    scheduler: { retrain: { interval: '3d' }, update: { enabled: false } },
  })
  expect(happened.promoted).toBeGreaterThan(0)
  expect(Math.min(...asked)).toBeGreaterThanOrEqual(until)
  // Trainings ask about earlier candles in batches; the loop asks about each candle that it predicts after.
  expect(asked.filter((time) => time > times.at(-100)!).length).toBeGreaterThan(50)
})
