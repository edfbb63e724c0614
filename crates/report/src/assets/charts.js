
// Charts: uPlot with hovering values, intervals, and the colours of the page's theme.

/** The value of a colour of the style sheet. */
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim()

/** Every chart on the page, to be drawn anew when the theme changes, and left when its data does. */
let charts = []

const clearCharts = () => {
  charts.forEach(({ plot, observer }) => {
    observer.disconnect()
    plot.destroy()
  })
  charts = []
}

/** Shows `lines(index)` beside the cursor: the first is a heading, others are `[colour, text]`. */
const hovering = (lines) => {
  // What it shows is in the table of the chart.
  const tip = element('div', { className: 'tip', hidden: '', 'aria-hidden': 'true' })
  const show = (plot) => {
    const { idx, left, top } = plot.cursor
    tip.hidden = idx == null || left < 0
    if (tip.hidden) return
    const [heading, ...rest] = lines(idx, plot)
    const line = ([swatch, text]) => {
      const square = element('span', { className: 'swatch' })
      square.style.background = swatch ? colour(swatch) : 'transparent'
      return element('div', {}, square, text)
    }
    tip.replaceChildren(element('b', {}, heading), ...rest.map(line))
    const { clientWidth: width, clientHeight: height } = plot.over
    const right = left + 14 + tip.offsetWidth > width
    tip.style.left = `${right ? Math.max(-30, left - 14 - tip.offsetWidth) : left + 14}px`
    tip.style.top = `${Math.max(0, Math.min(top + 10, height - tip.offsetHeight))}px`
  }
  return { hooks: { init: (plot) => plot.over.append(tip), setCursor: show } }
}

/** Draws an upright line from `low[i]` to `high[i]` at each point of a series. */
const whiskers = (low, high, stroke) => ({
  hooks: {
    drawSeries: (plot, at) => {
      if (at !== 1) return
      const { ctx } = plot
      ctx.save()
      ctx.strokeStyle = colour(stroke)
      ctx.globalAlpha = 0.45
      ctx.lineWidth = Math.max(1, 2 * uPlot.pxRatio)
      ctx.beginPath()
      plot.data[0].forEach((x, i) => {
        if (low[i] == null) return
        const px = Math.round(plot.valToPos(x, 'x', true))
        ctx.moveTo(px, plot.valToPos(low[i], 'y', true))
        ctx.lineTo(px, plot.valToPos(high[i], 'y', true))
      })
      ctx.stroke()
      ctx.restore()
    },
  },
})

/** Draws a dashed line from edge to edge; a series of one point would have none. */
const level = (value, stroke) => ({
  hooks: {
    draw: (plot) => {
      const { ctx, bbox } = plot
      const py = plot.valToPos(value, 'y', true)
      ctx.save()
      ctx.strokeStyle = colour(stroke)
      ctx.lineWidth = 1.5 * uPlot.pxRatio
      ctx.setLineDash([6 * uPlot.pxRatio, 5 * uPlot.pxRatio])
      ctx.beginPath()
      ctx.moveTo(bbox.left, py)
      ctx.lineTo(bbox.left + bbox.width, py)
      ctx.stroke()
      ctx.restore()
    },
  },
})

const axis = (more) => ({
  stroke: colour('soft'),
  grid: { stroke: colour('grid'), width: 1 },
  ticks: { stroke: colour('grid'), width: 1 },
  font: '12px system-ui, sans-serif',
  ...more,
})

/** Puts a chart into a box as wide as the page lets it be. */
const chart = (box, height, options, data) => {
  const size = () => ({ width: Math.max(200, box.clientWidth), height })
  const plot = new uPlot(
    {
      ...options,
      ...size(),
      legend: { show: false },
      cursor: { y: false, points: { size: 7 }, drag: { x: false, y: false }, ...options.cursor },
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), 'Etc/UTC'),
    },
    data,
    box,
  )
  plot.root.setAttribute('role', 'img')
  plot.root.setAttribute('aria-label', options.label)
  const observer = new ResizeObserver(() => {
    if (Math.abs(plot.width - size().width) > 1) plot.setSize(size())
  })
  observer.observe(box)
  charts.push({ plot, observer })
  return plot
}

const seconds = (times) => times.map((ms) => ms / 1000)

/** Keeps a short history from being stretched to the edges. Of a single point uPlot gives a thousand days, so its ends are not asked. */
const roomy = (least) => ({ data: [xs] }) => {
  const [min, max] = [xs[0], xs.at(-1)]
  const room = Math.max((max - min) * 0.03, (least - (max - min)) / 2, 0)
  return [min - room, max + room]
}

const times = (least) => ({ time: true, range: roomy(least) })

/** Days and, where they begin, years; hours in a history of a few days. */
const timeAxis = () =>
  axis({
    space: 70,
    values: (_plot, ticks, _axis, _space, step) =>
      ticks.map((tick, at) => {
        const time = new Date(1000 * tick)
        const day = time.toLocaleDateString('en-GB', { day: 'numeric', month: 'short', timeZone: 'UTC' })
        const isNew = at === 0 || new Date(1000 * ticks[at - 1]).getUTCFullYear() !== time.getUTCFullYear()
        if (step < DAY / 1000) return `${time.toISOString().slice(11, 16)}\n${day}`
        return isNew ? `${day}\n${time.getUTCFullYear()}` : day
      }),
  })

/** How the numbers of a chart are written: on its axis, as a result with its sign, and as a size. */
const PERCENT = {
  onAxis: (number) => `${number.toLocaleString('en')} %`,
  signed: (number) => signed(number),
  size: (number) => percent(number, 2),
}

/** The same for results in R. */
const IN_R = {
  onAxis: (number) => `${number.toLocaleString('en')} R`,
  signed: (number) => inR(number),
  size: (number) => `${fixed(number, 2)}\u00a0R`,
}

/** As wide as its longest number, and at least as one of so many characters. */
const numberAxis = (unit, characters) =>
  axis({
    values: (_plot, ticks) => ticks.map(unit.onAxis),
    size: (_plot, values) => 22 + 7 * Math.max(characters, ...(values ?? []).map((value) => value.length)),
  })

const percentAxis = () => numberAxis(PERCENT, 3)

/** Ticks where spans begin: at each, or at every second, third, … as there is room. */
const atSpans = (spans, length) => (plot, _axis, min, max) => {
  const stride = length * Math.max(1, Math.ceil((80 * (max - min)) / length / plot.width))
  const first = spans[0].fromMs / 1000
  const ticks = []
  for (let tick = first + stride * Math.ceil((min - first) / stride); tick <= max; tick += stride) ticks.push(tick)
  return ticks
}

const drawSuccess = (box, { spans, weeksASpan }, breakEven) => {
  const week = 7 * 86_400
  const tip = (i) => {
    const { fromMs, closed, successes, successRate, successInterval, meanProfit } = spans[i]
    return [
      weeksASpan === 1 ? `Week of ${date(fromMs)}` : `${weeksASpan} weeks from ${date(fromMs)}`,
      ['c0', `${successes} of ${closed} succeeded: ${percent(successRate)} (${range(successInterval)})`],
      ...(breakEven == null ? [] : [['c1', `break-even ${percent(breakEven)}`]]),
      ['', `mean result ${signed(meanProfit, 3)} after costs`],
    ]
  }
  const [lows, highs] = ['low', 'high'].map((end) => spans.map((span) => span.successInterval[end]))
  // Whole tens that hold all intervals and the line.
  const low = 10 * Math.floor(Math.min(...lows, breakEven ?? 100) / 10)
  const high = 10 * Math.ceil(Math.max(...highs, breakEven ?? 0) / 10)
  chart(
    box,
    260,
    {
      label: 'Success rate by week with intervals, and the break-even line',
      scales: { x: times(2 * week), y: { range: [low, high] } },
      axes: [{ ...timeAxis(), splits: atSpans(spans, week * weeksASpan) }, percentAxis()],
      series: [{}, { stroke: colour('c0'), width: 1.5, points: { show: true, size: 7, fill: colour('c0') } }],
      plugins: [whiskers(lows, highs, 'c0'), ...(breakEven == null ? [] : [level(breakEven, 'c1')]), hovering(tip)],
    },
    [seconds(spans.map((span) => span.fromMs)), spans.map((span) => span.successRate)],
  )
}

/** So many characters has the axis of the sums, and of the drawdown: below each other, a day is in the same place on both. */
const charactersOf = ({ lines, drawdown, unit }) => {
  const all = [drawdown, ...lines.map(({ values }) => values)].flat()
  return Math.max(...[Math.min(...all), Math.max(...all)].map((end) => unit.onAxis(Math.round(end)).length))
}

const held = () => uPlot.paths.stepped({ align: 1 })

/**
 * Draws running sums, each with a button that switches it on and off. `lines` are `{ name, swatch, width, values }`. They share a
 * crosshair with the chart of drawdown under them, whose line is named `fallen`.
 */
const drawSums = (box, legend, sums) => {
  const { label, times: ends, lines, drawdown, fallen, unit } = sums
  const tip = (i, plot) => [
    `until ${moment(ends[i])}`,
    ...lines.flatMap(({ name, swatch, values }, at) => (plot.series[at + 1].show ? [[swatch, `${name} ${unit.signed(values[i])}`]] : [])),
    ['bad', `${fallen} ${unit.size(0 - drawdown[i])}`],
  ]
  const plot = chart(
    box,
    300,
    {
      label,
      scales: { x: times(DAY / 1000), y: {} },
      cursor: { sync: { key: 'results' } },
      axes: [timeAxis(), numberAxis(unit, charactersOf(sums))],
      series: [{}, ...lines.map(({ swatch, width }) => ({ stroke: colour(swatch), width, paths: held(), points: { show: false } }))],
      plugins: [hovering(tip)],
    },
    [seconds(ends), ...lines.map(({ values }) => values)],
  )
  const toggle = ({ name, swatch }, at) => {
    const square = element('span', { className: 'swatch' })
    square.style.background = colour(swatch)
    const button = element('button', { type: 'button' }, square, name)
    const set = (show) => {
      plot.setSeries(at + 1, { show })
      button.setAttribute('aria-pressed', String(show))
      switchedOff[show ? 'delete' : 'add'](name)
    }
    set(!switchedOff.has(name))
    button.addEventListener('click', () => set(!plot.series[at + 1].show))
    return button
  }
  legend.replaceChildren(...lines.map(toggle))
}

/** The lines that were switched off, which stay so when the page is drawn anew. */
const switchedOff = new Set()

/** What the charts of sums and drawdown show, as a table. */
const sumsTable = (id, { label, times: ends, lines, drawdown, fallen, unit }) =>
  unfolding(`table-${id}`, 'These figures as a table', () =>
    table(
      label,
      [['until (UTC)', 'tight'], ...lines.map(({ name }) => [name, 'number']), [fallen, 'number']],
      ends.map((end, i) => [moment(end), ...lines.map(({ values }) => unit.signed(values[i])), unit.size(0 - drawdown[i])]).reverse(),
    ),
  )

const successTable = ({ spans, weeksASpan }) =>
  unfolding('table-success', 'These figures as a table', () =>
    table(
      'Success over time',
      [[weeksASpan === 1 ? 'week of' : `${weeksASpan} weeks from`, 'tight'], ...['closed', 'succeeded', 'success', '95 % interval', 'mean result'].map((head) => [head, 'number'])],
      spans.map(({ fromMs, closed, successes, successRate, successInterval, meanProfit }) => [date(fromMs), whole(closed), whole(successes), percent(successRate), range(successInterval), signed(meanProfit, 3)]).reverse(),
    ),
  )

/** `whose` names the predictions. */
const calibrationTable = (whose, bins) =>
  unfolding(`table-calibration-${whose.replaceAll(' ', '-')}`, 'These figures as a table', () =>
    table(
      `What was promised, and what happened: ${whose}`,
      ['promised', 'happened', '95 % interval', 'count'].map((head) => [head, 'number']),
      bins.map(({ promised, happened, interval, count: n }) => [percent(promised), percent(happened), interval ? range(interval) : null, whole(n)]),
    ),
  )

const drawDrawdown = (box, sums) => {
  const { times: ends, drawdown, fallen, unit } = sums
  chart(
    box,
    150,
    {
      label: 'How far the running sum lies below its highest point so far',
      scales: { x: times(DAY / 1000), y: { range: (_plot, min) => [Math.min(min * 1.1, -1), 0] } },
      cursor: { sync: { key: 'results' } },
      axes: [timeAxis(), numberAxis(unit, charactersOf(sums))],
      series: [{}, { stroke: colour('bad'), width: 1.5, fill: colour('bad-wash'), paths: held(), points: { show: false } }],
      plugins: [hovering((i) => [`until ${moment(ends[i])}`, ['bad', `${fallen} ${unit.size(0 - drawdown[i])}`]])],
    },
    [seconds(ends), drawdown],
  )
}

/** Promised against happened; on the dashed line both agree. A bin may have no interval. */
const drawCalibration = (box, bins, noun) => {
  const ends = bins.flatMap(({ promised, happened, interval }) => [promised, happened, interval?.low ?? happened, interval?.high ?? happened])
  const [low, high] = [Math.max(0, Math.min(...ends) - 3), Math.min(100, Math.max(...ends) + 3)]
  const tip = (i) => {
    // The ends of the diagonal are no bins.
    const bin = bins[i - 1]
    if (!bin) return ['promise kept exactly']
    return [
      `promised ${percent(bin.promised)}`,
      ['c0', `happened ${percent(bin.happened)}${bin.interval ? ` (${range(bin.interval)})` : ''}`],
      ['', `${count(bin.count, noun)}${Math.round(bin.worth) < bin.count ? `, worth ${whole(Math.round(bin.worth))} independent ones` : ''}`],
    ]
  }
  const within = (values) => [null, ...values, null]
  const promised = [low, ...bins.map((bin) => bin.promised), high]
  const intervals = whiskers(within(bins.map((b) => b.interval?.low)), within(bins.map((b) => b.interval?.high)), 'c0')
  chart(
    box,
    300,
    {
      label: 'What was promised against what happened',
      scales: { x: { time: false, range: [low, high] }, y: { range: [low, high] } },
      axes: [{ ...percentAxis(), label: 'promised', labelSize: 18, labelFont: '12px system-ui, sans-serif' }, { ...percentAxis(), label: 'happened', labelSize: 18, labelFont: '12px system-ui, sans-serif' }],
      series: [
        {},
        { stroke: colour('c0'), width: 1.5, points: { show: true, size: 8, fill: colour('c0') } },
        { stroke: colour('soft'), width: 1.5, dash: [6, 5], points: { show: false } },
      ],
      plugins: [intervals, hovering(tip)],
    },
    [promised, within(bins.map((bin) => bin.happened)), promised],
  )
}
