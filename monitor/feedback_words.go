package monitor

// FeedbackEvent is what a user, or somebody who knows better, did with an answer.
type FeedbackEvent uint8

// What may be done with an answer.
const (
	Impression     FeedbackEvent = iota // it was shown
	Click                               // one of its results was chosen
	RedoSearch                          // the user asked again, in other words
	SwitchModality                      // the user went on by other means: voice, a form, a person
	Label                               // what the answer should have been
	Reward                              // a number: how good it was
	Accepted                            // used as it was
	Edited                              // used after changes
	Rejected                            // thrown away
	feedbackEvents
)

var feedbackEventNames = [feedbackEvents]string{
	Impression: "impression", Click: "click", RedoSearch: "redo_search", SwitchModality: "switch_modality", Label: "label", Reward: "reward",
	Accepted: "accepted", Edited: "edited", Rejected: "rejected",
}

// String is the event as it is written in feedback, labels and answers.
func (e FeedbackEvent) String() string { return feedbackEventNames[e] }

// FeedbackSource says by which way feedback came. What comes by the data listener may come from anybody: it is counted apart.
type FeedbackSource uint8

// The ways of feedback.
const (
	FromAdmin  FeedbackSource = iota // POST /api/v1/feedback, by who may change things
	FromData                         // POST /_ml/feedback, by everybody
	FromRouter                       // seen in the requests themselves
	feedbackSources
)

var feedbackSourceNames = [feedbackSources]string{FromAdmin: "admin", FromData: "data", FromRouter: "router"}

// String is the label value.
func (s FeedbackSource) String() string { return feedbackSourceNames[s] }

// FeedbackLoss says why feedback was not counted for a version.
type FeedbackLoss uint8

// Why feedback may not be counted.
const (
	FeedbackOrphan    FeedbackLoss = iota // no exchange of this request ID is known, or the receipt is not ours
	FeedbackLate                          // the exchange, or for a click its impression, was longer ago than feedback.window
	FeedbackDuplicate                     // the same was said of the same row before
	FeedbackInvalid                       // it is not of the right form
	FeedbackLimited                       // the client sent more than feedback.max_per_second
	feedbackLosses
)

var feedbackLossNames = [feedbackLosses]string{
	FeedbackOrphan: "orphan", FeedbackLate: "late", FeedbackDuplicate: "duplicate", FeedbackInvalid: "invalid", FeedbackLimited: "rate_limited",
}

// String is the label value.
func (l FeedbackLoss) String() string { return feedbackLossNames[l] }
