package protocol

func init() {
	register("none", extractsNothing, func(*Extract) Adapter { return none{} })
}

// none looks into nothing.
type none struct{}

func (none) Request(*Message, *Facts)  {}
func (none) Response(*Message, *Facts) {}
