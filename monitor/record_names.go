package monitor

import "mlproxy/protocol"

// OutputsMissing are the rows without a prediction, by the name of the reason; nil when there are none.
func (r *Record) OutputsMissing() map[string]int {
	return nonZero[protocol.MissingReason](r.Facts.OutputsMissing[:])
}

// ExtractFaults are what could not be read of the bodies, by the name of the reason; nil when all could.
func (r *Record) ExtractFaults() map[string]int {
	return nonZero[protocol.ExtractReason](r.Facts.Faults[:])
}

// nonZero are the counts that are not 0.
func nonZero[E interface {
	~uint8
	String() string
}](counts []int) (all map[string]int) {
	for i, n := range counts {
		if n > 0 {
			if all == nil {
				all = map[string]int{}
			}
			all[E(i).String()] = n
		}
	}
	return all
}
