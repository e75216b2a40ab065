package protocol

// image notes that there is an image.
func (f *Facts) image([]byte) {
	if len(f.Images) < MaxRows {
		f.Images = append(f.Images, Image{})
	}
}
