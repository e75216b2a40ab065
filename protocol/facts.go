package protocol

// Bounds of what is kept in detail. Totals go on beyond them and stay exact.
const (
	MaxRows     = 256     // Lengths, Images, Audio, Outputs
	MaxFeatures = 64      // Features
	maxProbs    = 1024    // Output.Probs
	maxText     = 4 << 10 // Output.Text, in bytes
	maxQuery    = 1 << 10 // Facts.Query, in bytes
	maxName     = 256     // names, versions, classes, in bytes
	maxChoices  = MaxRows // Facts.Finish
)

// Facts is what an adapter read from the bodies of one exchange. It belongs to one goroutine, which reuses it: what it holds is
// valid until Reset, but for strings, which stay. The zero value is ready for use.
type Facts struct {
	Model, Version, ID string // as asked for; the ID is the protocol's own, not the X-Request-ID

	// A row is one example to be predicted. A value is one number, string or cell of it; of a feature that is absent from a
	// row which should have it, the absence counts as one value.
	Rows, RowsMissing     int // RowsMissing have at least one missing value
	Values, ValuesMissing int // missing: null, NaN, "", absent, an empty cell, a sentinel
	NonFinite             int // values that are +Inf or -Inf; they are not missing
	Features              []Feature
	Lengths               []Length // one per row
	Images                []Image
	Audio                 []Audio
	Query                 []byte // text of the first row, at most 1 KiB; nil when there is none

	ServedModel, ServedVersion string // as the answer says
	Outputs                    []Output
	OutputsMissing             [MissingReasons]int // rows without a prediction, by why; [MissingNone] stays 0
	Tokens                     Tokens
	Finish                     []string // why the model stopped, per choice; as written by the server

	Error ErrorKind // what an error of the model server says, by its status or within a stream

	Faults [ExtractReasons]int // what could not be read, by why

	choices int // texts asked for, per row
	pixels  int // decoded of images
	room    room
}

// Reset forgets everything and keeps the memory.
func (f *Facts) Reset() {
	*f = Facts{
		Features: f.Features[:0], Lengths: f.Lengths[:0], Images: f.Images[:0], Audio: f.Audio[:0],
		Outputs: f.Outputs[:0], Finish: f.Finish[:0], room: f.room,
	}
	f.room.trim()
}

// Fault notes that something could not be read.
func (f *Facts) Fault(reason ExtractReason) { f.Faults[reason]++ }

// Feature is a named column of what was asked.
type Feature struct {
	Name            string
	Values, Missing int
	Numbers         int     // values that are finite numbers
	Sum             float64 // of the finite numbers
	Chars           int     // code points of the strings among the values
}

// Length is how much one row holds.
type Length struct {
	Kind LengthKind
	N    int
}

// LengthKind is what a length counts.
type LengthKind uint8

// Characters are Unicode code points; elements are values of a row that has no text; bytes are those of a row that is one blob.
const (
	Chars LengthKind = iota
	TokenCount
	Elements
	Bytes
)

var lengthKinds = [...]string{"chars", "tokens", "elements", "bytes"}

func (k LengthKind) String() string { return lengthKinds[k] }

// Image is what is known of one image.
type Image struct {
	Width, Height int
	Brightness    float64 // mean luma (ITU-R BT.601), 0..255
	Known         bool    // Brightness is known; of a normalised tensor it is not
}

// Audio is what is known of one recording.
type Audio struct {
	DBFS    float64 // root mean square level, in decibels relative to full scale; 0 is loudest, silence is -Inf
	Seconds float64
}

// Output is what was predicted for one row.
type Output struct {
	Class          string    // the label, or index of the label, that was predicted; empty when the answer names none
	Value          float64   // the number that was predicted, if HasValue
	HasValue       bool      //
	Text           []byte    // the text that was predicted, at most 4 KiB
	Probs          []float64 // one number a class: probabilities if ConfidenceKind is Probability, else as they came; at most 1024
	Confidence     float64   //
	ConfidenceKind ConfidenceKind
	Missing        MissingReason
}

// ConfidenceKind is what a confidence is.
type ConfidenceKind uint8

// A score is the highest of numbers that are no probabilities; a log probability is that of the mean token, as probability.
const (
	NoConfidence ConfidenceKind = iota
	Probability
	Score
	LogProb
	ConfidenceKinds // how many there are
)

var confidenceKinds = [ConfidenceKinds]string{"none", "probability", "score", "logprob"}

func (k ConfidenceKind) String() string { return confidenceKinds[k] }

// MissingReason is why an answer of status 2xx has no prediction for a row.
type MissingReason uint8

// Reasons, as the label reason of mlproxy_outputs_missing_total has them.
const (
	MissingNone            MissingReason = iota // nothing is missing
	MissingEmpty                                // an empty body, or "", [] or {} in place of the prediction
	MissingUnparseable                          // the body is not what the protocol says
	MissingAbsent                               // the member that holds predictions is not there
	MissingNull                                 // null
	MissingNaN                                  // NaN, Infinity or null among the numbers
	MissingTooFewRows                           // fewer predictions than rows
	MissingNoContent                            // a language model that said nothing, called no tool and refused nothing
	MissingTruncatedStream                      // a stream that ended without a finish reason
	MissingErrorInStream                        // an error after the status said 200
	MissingReasons                              // how many there are
)

var missingReasons = [MissingReasons]string{
	"none", "empty", "unparseable", "absent", "null", "nan", "too_few_rows", "no_content", "truncated_stream", "error_in_stream",
}

func (r MissingReason) String() string { return missingReasons[r] }

// ExtractReason is why a body, or a part of it, could not be read.
type ExtractReason uint8

// Reasons, as the label reason of mlproxy_extract_errors_total has them.
const (
	NotJSON             ExtractReason = iota // not JSON where the protocol has JSON
	TooDeep                                  // nested deeper than 512
	TooLarge                                 // more values, or more bytes once inflated, than are read
	UnknownShape                             // JSON without the members that the protocol says
	ShapeMismatch                            // a tensor's shape says other than its data
	BinaryShort                              // fewer bytes of binary tensors than announced
	DatatypeUnsupported                      // a tensor of an unknown datatype
	ContentUnsupported                       // a content type that the protocol does not have
	EncodingUnsupported                      // a Content-Encoding that is not known
	EncodingBroken                           // a Content-Encoding that cannot be undone
	ImageTooLarge                            // more pixels than are decoded
	ImageUnreadable                          //
	AudioUnreadable                          //
	BadEvent                                 // an event of a stream that cannot be read
	Truncated                                // the body is not all of it: only what was kept was read
	ExtractReasons                           // how many there are
)

var extractReasons = [ExtractReasons]string{
	"not_json", "too_deep", "too_large", "unknown_shape", "shape_mismatch", "binary_short", "datatype_unsupported", "content_unsupported",
	"encoding_unsupported", "encoding_broken", "image_too_large", "image_unreadable", "audio_unreadable", "bad_event", "truncated",
}

func (r ExtractReason) String() string { return extractReasons[r] }

// ErrorKind is what went wrong by the words of the model server.
type ErrorKind uint8

// Kinds of errors.
const (
	NoError         ErrorKind = iota
	InvalidRequest            // what was asked cannot be answered
	ContextOverflow           // the prompt, or the answer asked for, is longer than the model's context
	Overloaded                // too much to do
	OtherError                //
	ErrorKinds                // how many there are
)

var errorKinds = [ErrorKinds]string{"none", "invalid_request", "context_overflow", "overloaded", "other"}

func (k ErrorKind) String() string { return errorKinds[k] }

// Tokens is what a language model counted.
type Tokens struct {
	Prompt, Completion, Cached, Reasoning int
	Known                                 bool // false: the numbers mean nothing
	Estimated                             bool // counted from events, since the server did not say
}
