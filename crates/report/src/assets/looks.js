
// How often the signals of a replay were looked at, and what is left of its result after that.

const LACKING = { tooFewTrials: 'trials', tooFewMonths: 'months that all trials cover', tooFewDays: 'days on which a signal closed that was taken' }

/** A figure that may be missing with a reason, in words. */
const orWhy = (figure, words) => {
  if (figure.reason === 'noSpread') return 'not known: each day brought the same'
  return figure.reason ? `not known: it takes ${figure.need} ${LACKING[figure.reason]}, and there are ${figure.have}` : words(figure)
}

const lookRows = ({ looks, trials, damaged, deflatedSharpe, overfitting }) => [
  ['Looks', `${count(looks, 'replay')} of these very signals, this one included; ${count(trials, 'trial')} on these markets at that time${damaged > 0 ? `; ${count(damaged, 'line')} of the ledger cannot be read, so there may have been more` : ''}`],
  ['Deflated Sharpe', orWhy(deflatedSharpe, (one) => `${fixed(one.probability, 2)}: the probability that the true Sharpe ratio is above the best that ${count(one.trials, 'trial')} without skill would show`)],
  ['Overfitting', orWhy(overfitting, (one) => `${fixed(one.probability, 2)}: the share of splits in which the best of ${count(one.trials, 'trial')} on one half of the months was below the median on the other; luck gives 0.5`)],
]
