package protocol

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

func encodedAs(t testing.TB, m image.Image, format string) []byte {
	t.Helper()
	var b bytes.Buffer
	var err error
	switch format {
	case "png":
		err = png.Encode(&b, m)
	case "jpeg":
		err = jpeg.Encode(&b, m, &jpeg.Options{Quality: 95})
	case "gif":
		err = gif.Encode(&b, m, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func imageFile(t testing.TB, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata/images", name))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestBrightnessOfKnownImages holds the figures against those that Pillow found; testdata/images/PROVENANCE.md says more.
func TestBrightnessOfKnownImages(t *testing.T) {
	var expected struct {
		Images []struct {
			File          string
			Width, Height int
			Brightness    float64 `json:"brightness_rec601"`
			Tolerance     float64
		}
		Bad []string
	}
	if err := json.Unmarshal(imageFile(t, "expected.json"), &expected); err != nil {
		t.Fatal(err)
	}
	if len(expected.Images) < 14 {
		t.Fatalf("%d images", len(expected.Images))
	}
	for _, want := range expected.Images {
		got, err := measure(imageFile(t, filepath.Base(want.File)), maxImagePixels)
		if err != nil || got.Width != want.Width || got.Height != want.Height || !got.Known ||
			math.Abs(got.Brightness-want.Brightness) > want.Tolerance {
			t.Errorf("%s: %+v, %v; want %dx%d, %.3f +- %.1f", want.File, got, err, want.Width, want.Height, want.Brightness, want.Tolerance)
		}
	}
	for _, file := range []string{"empty.png", "not_an_image.png", "truncated.png"} {
		var f Facts
		if f.image(imageFile(t, file)); f.Faults[ImageUnreadable] != 1 || len(f.Images) != 0 {
			t.Errorf("%s: faults %v, images %v", file, f.Faults, f.Images)
		}
	}
}

func TestBrightnessOfWebP(t *testing.T) {
	f := func(webp, png string, tolerance float64) {
		t.Helper()
		got, err := measure(imageFile(t, webp), maxImagePixels)
		want, failed := measure(imageFile(t, png), maxImagePixels)
		if err != nil || failed != nil || got.Width != want.Width || got.Height != want.Height || math.Abs(got.Brightness-want.Brightness) > tolerance {
			t.Errorf("%s: %+v %v; %s: %+v %v", webp, got, err, png, want, failed)
		}
	}
	f("blue-purple-pink.lossless.webp", "blue-purple-pink.png", 0.01)
	f("blue-purple-pink.lossy.webp", "blue-purple-pink.png", 1.5)
	f("gopher-doc.with-alpha.lossless.webp", "gopher-doc.with-alpha.png", 0.01)
}

// TestBrightnessOfEveryWayToStoreAColour paints a picture of one colour in every kind of image.
func TestBrightnessOfEveryWayToStoreAColour(t *testing.T) {
	c := color.NRGBA{200, 100, 50, 255}
	const want = 0.299*200 + 0.587*100 + 0.114*50
	r := image.Rect(0, 0, 24, 16)
	f := func(format string, want, tolerance float64, m interface {
		image.Image
		Set(x, y int, c color.Color)
	},
	) {
		t.Helper()
		for y := r.Min.Y; y < r.Max.Y; y++ {
			for x := r.Min.X; x < r.Max.X; x++ {
				m.Set(x, y, c)
			}
		}
		i, err := measure(encodedAs(t, m, format), maxImagePixels)
		if err != nil || i != (Image{24, 16, i.Brightness, true}) || math.Abs(i.Brightness-want) > tolerance {
			t.Errorf("%T as %s: %+v, %v; want %.2f", m, format, i, err, want)
		}
	}
	for _, m := range []interface {
		image.Image
		Set(x, y int, c color.Color)
	}{image.NewRGBA(r), image.NewNRGBA(r), image.NewRGBA64(r), image.NewNRGBA64(r)} {
		f("png", want, 0.01, m)
		f("jpeg", want, 1, m)
	}
	f("png", want, 0.6, image.NewGray(r))
	f("png", want, 0.1, image.NewGray16(r))
	f("jpeg", want, 1, image.NewGray(r))
	f("png", want, 0.01, image.NewPaletted(r, color.Palette{color.Black, c}))
	f("gif", want, 0.01, image.NewPaletted(r, color.Palette{color.Black, c}))
	c.A = 128 // what is half transparent counts by its colour
	f("png", want, 0.5, image.NewNRGBA(r))
	f("png", want, 0.5, image.NewNRGBA64(r))
	f("png", want, 0.5, image.NewPaletted(r, color.Palette{color.Black, c}))
	cmyk := image.NewCMYK(r)
	if v := lumaOf(cmyk)(0, 0); math.Abs(v-255) > 0.01 {
		t.Errorf("CMYK without ink: %v", v)
	}
}

func TestBrightnessOfALargeImageLooksAtSomePixels(t *testing.T) {
	m := image.NewGray(image.Rect(0, 0, 2100, 1300))
	for i := range m.Pix {
		m.Pix[i] = byte(i % 2100 * 255 / 2099) // a ramp
	}
	if b := luma(m, false); math.Abs(b-127.5) > 1 {
		t.Errorf("brightness %v", b)
	}
}

// claiming is a PNG's head that says how large it is, and what follows of some PNG.
func claiming(t testing.TB, width, height uint32) []byte {
	b := encodedAs(t, image.NewNRGBA(image.Rect(0, 0, 1, 1)), "png")
	binary.BigEndian.PutUint32(b[16:], width)
	binary.BigEndian.PutUint32(b[20:], height)
	binary.BigEndian.PutUint32(b[29:], crc32.ChecksumIEEE(b[12:29]))
	return b
}

func TestImageBombs(t *testing.T) {
	blank := encodedAs(t, image.NewPaletted(image.Rect(0, 0, 2048, 2048), color.Palette{color.Black}), "png")
	scans := encodedAs(t, image.NewRGBA(image.Rect(0, 0, 64, 64)), "jpeg")
	scans = bytes.Replace(scans, []byte("\xff\xc0"), []byte("\xff\xc2"), 1)
	at := bytes.Index(scans, []byte("\xff\xda"))
	for range maxScans {
		scans = append(scans[:len(scans)-2:len(scans)-2], scans[at:at+40]...)
	}
	f := func(name string, b []byte, decoded int) {
		t.Helper()
		var facts Facts
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range 6 {
			facts.image(b)
		}
		runtime.ReadMemStats(&after)
		known := 0
		for _, i := range facts.Images {
			if i.Known {
				known++
			}
		}
		if known != decoded || facts.Faults[ImageTooLarge] != 6-decoded {
			t.Errorf("%s: %d of 6 decoded, want %d; faults %v", name, known, decoded, facts.Faults)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > uint64(decoded+1)*maxImageBytes {
			t.Errorf("%s: took %d bytes", name, took)
		}
	}
	f("50000x50000", claiming(t, 50000, 50000), 0)
	f("3000x3000 of four bytes", claiming(t, 3000, 3000), 0)
	f("2048x2048 of one colour", blank, 4)
	f("a JPEG of many scans", scans, 0)
}

func FuzzImage(f *testing.F) {
	files, _ := filepath.Glob("testdata/images/*.*g*")
	for _, file := range files {
		if raw, err := os.ReadFile(file); err == nil && len(raw) < 4<<10 {
			f.Add(raw)
		}
	}
	f.Add(claiming(f, 50000, 50000))
	f.Fuzz(func(t *testing.T, encoded []byte) {
		const limit = 1 << 14
		i, err := measure(encoded, limit)
		if err == nil && (!i.Known || !(i.Brightness >= 0 && i.Brightness <= 255) || i.Width <= 0 || i.Height <= 0 || i.Width*i.Height > limit) {
			t.Errorf("%+v", i)
		}
		if err != nil && i.Known {
			t.Errorf("%+v, %v", i, err)
		}
	})
}

func BenchmarkHowLongDoesAnImageTake(b *testing.B) {
	small, large := image.NewRGBA(image.Rect(0, 0, 224, 224)), image.NewRGBA(image.Rect(0, 0, 1920, 1080))
	for _, m := range []*image.RGBA{small, large} {
		for i := range m.Pix {
			m.Pix[i] = byte(i*i>>8 | i)
		}
	}
	f := func(name string, encoded []byte) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := measure(encoded, maxImagePixels); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	f("JPEG 224", encodedAs(b, small, "jpeg"))
	f("PNG 224", encodedAs(b, small, "png"))
	f("JPEG 1080p", encodedAs(b, large, "jpeg"))
	f("PNG 1080p", encodedAs(b, large, "png"))
}
