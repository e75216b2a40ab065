package monitor

import "math"

// z95 is the quantile .975 of the normal distribution.
const z95 = 1.959963984540054

// Wilson is the 95% score interval of a share of which hits of n were seen (Wilson 1927); 0 to 1 when nothing was.
func Wilson(hits, n int64) (low, high float64) {
	if n <= 0 {
		return 0, 1
	}
	total, share := float64(n), float64(hits)/float64(n)
	scale := 1 + z95*z95/total
	middle := (share + z95*z95/(2*total)) / scale
	half := z95 / scale * math.Sqrt(share*(1-share)/total+z95*z95/(4*total*total))
	return max(0, middle-half), min(1, middle+half)
}
