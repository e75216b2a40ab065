package router

import "mlproxy/monitor"

// Split divides a route's traffic among its versions by their shares.
type Split struct {
	versions []*Version // those with a share, in the order of the pools' names
	byTurns  *rotation
	byKey    rendezvous
}

func newSplit(versions []*Version) *Split {
	s := &Split{}
	var shares []float64
	for _, v := range versions {
		if v.Share > 0 {
			s.versions = append(s.versions, v)
			s.byKey = append(s.byKey, newCandidate(v.Route, v.Pool.Name, v.Share))
			shares = append(shares, v.Share)
		}
	}
	s.byTurns = newRotation(shares)
	return s
}

// Choose is the version that serves a request, and what decided it. Equal keys get equal versions, from every replica and
// after every restart; without a key, nil or empty, versions take turns in such a way that the shares are kept closely all the time.
func (s *Split) Choose(key []byte) (*Version, monitor.By) {
	by := monitor.ByRotation
	if len(key) > 0 {
		by = monitor.ByKey
	}
	switch {
	case len(s.versions) == 1:
		return s.versions[0], by
	case by == monitor.ByKey:
		return s.versions[s.byKey.choose(key)], by
	}
	return s.versions[s.byTurns.next()], by
}
