export { FeedbackTracker, feedbackTracker } from 'signalloop'
