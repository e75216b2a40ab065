package protocol

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
)

var errNoAudio = errors.New("not a WAV file of PCM or floating-point samples")

// sound looks at a WAV file.
func (f *Facts) sound(encoded []byte) {
	a, err := level(encoded)
	if err != nil {
		f.Fault(AudioUnreadable)
		return
	}
	if len(f.Audio) < MaxRows {
		f.Audio = append(f.Audio, a)
	}
}

// wave is how the samples of a WAV file are written.
type wave struct {
	format   uint16 // 1 PCM, 3 floating point
	channels int
	rate     int // frames a second
	bits     int // of a sample
}

const (
	wavePCM        = 1
	waveFloat      = 3
	waveExtensible = 0xfffe // the format is the first two bytes of the subformat
)

// level finds out the loudness and length of a WAV file (RIFF, RFC 2361) of PCM with 8, 16, 24 or 32 bits, or floating point of 32 or 64.
// Loudness is the root mean square of all samples of all channels, where 1 is full scale: a square wave at full scale has 0 dBFS, a
// sine -3.01, silence -Inf. Of a file that is cut short, or whose length its writer did not know, what there is counts.
func level(encoded []byte) (Audio, error) {
	if len(encoded) < 12 || string(encoded[:4]) != "RIFF" || string(encoded[8:12]) != "WAVE" {
		return Audio{}, errNoAudio
	}
	var w wave
	for rest := encoded[12:]; len(rest) >= 8; {
		name, size := string(rest[:4]), uint64(binary.LittleEndian.Uint32(rest[4:]))
		chunk := rest[8:]
		chunk = chunk[:min(size, uint64(len(chunk)))]
		switch name {
		case "fmt ":
			w = waveOf(chunk)
		case "data":
			return w.level(chunk)
		}
		rest = rest[8+len(chunk):]
		if size%2 == 1 && len(rest) > 0 {
			rest = rest[1:]
		}
	}
	return Audio{}, errNoAudio
}

// waveOf reads the chunk fmt; the zero value says that it cannot be read.
func waveOf(chunk []byte) wave {
	if len(chunk) < 16 {
		return wave{}
	}
	w := wave{
		format:   binary.LittleEndian.Uint16(chunk),
		channels: int(binary.LittleEndian.Uint16(chunk[2:])),
		rate:     int(binary.LittleEndian.Uint32(chunk[4:])),
		bits:     int(binary.LittleEndian.Uint16(chunk[14:])),
	}
	if w.format == waveExtensible && len(chunk) >= 26 {
		w.format = binary.LittleEndian.Uint16(chunk[24:])
	}
	return w
}

func (w wave) level(data []byte) (Audio, error) {
	sum, width := w.power(data)
	frame := width * w.channels
	if frame == 0 || w.rate == 0 || len(data) < frame {
		return Audio{}, errNoAudio
	}
	rms := math.Sqrt(sum / float64(len(data)/width))
	if math.IsNaN(rms) || math.IsInf(rms, 0) {
		return Audio{}, errNoAudio
	}
	return Audio{DBFS: 20 * math.Log10(rms), Seconds: float64(len(data)/frame) / float64(w.rate)}, nil
}

// power is the sum of the squares of all samples, and how many bytes a sample has; 0 if it has a size that is unknown.
func (w wave) power(data []byte) (sum float64, width int) {
	switch {
	case w.format == wavePCM && w.bits == 8:
		for _, c := range data {
			sum += square((float64(c) - 128) / 128)
		}
		return sum, 1
	case w.format == wavePCM && w.bits == 16:
		for ; len(data) >= 2; data = data[2:] {
			sum += square(float64(int16(binary.LittleEndian.Uint16(data))) / (1 << 15))
		}
		return sum, 2
	case w.format == wavePCM && w.bits == 24:
		for ; len(data) >= 3; data = data[3:] {
			sum += square(float64(int32(uint32(data[0])<<8|uint32(data[1])<<16|uint32(data[2])<<24)) / (1 << 31))
		}
		return sum, 3
	case w.format == wavePCM && w.bits == 32:
		for ; len(data) >= 4; data = data[4:] {
			sum += square(float64(int32(binary.LittleEndian.Uint32(data))) / (1 << 31))
		}
		return sum, 4
	case w.format == waveFloat && w.bits == 32:
		for ; len(data) >= 4; data = data[4:] {
			sum += square(float64(math.Float32frombits(binary.LittleEndian.Uint32(data))))
		}
		return sum, 4
	case w.format == waveFloat && w.bits == 64:
		for ; len(data) >= 8; data = data[8:] {
			sum += square(math.Float64frombits(binary.LittleEndian.Uint64(data)))
		}
		return sum, 8
	}
	return 0, 0
}

func square(x float64) float64 { return x * x }

// isWave says that a WAV file begins here.
func isWave(b []byte) bool {
	return len(b) >= 12 && bytes.HasPrefix(b, []byte("RIFF")) && string(b[8:12]) == "WAVE"
}
