export { MLPredictor, mlPredictor } from 'signalloop'
