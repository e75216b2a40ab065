package protocol

import (
	"encoding/binary"
	"math"
	"testing"
)

// waveFile is a WAV file of samples in -1..1, in the format and size given, with a chunk before them that nobody knows.
func waveFile(format uint16, bits, channels, rate int, samples ...float64) []byte {
	le := binary.LittleEndian
	var data []byte
	for _, x := range samples {
		switch {
		case format == waveFloat && bits == 64:
			data = le.AppendUint64(data, math.Float64bits(x))
		case format == waveFloat:
			data = le.AppendUint32(data, math.Float32bits(float32(x)))
		case bits == 8:
			data = append(data, byte(x*127+128))
		case bits == 16:
			data = le.AppendUint16(data, uint16(int16(x*(1<<15-1))))
		case bits == 24:
			data = append(data, le.AppendUint32(nil, uint32(int32(x*(1<<23-1))))[:3]...)
		default:
			data = le.AppendUint32(data, uint32(int32(x*(1<<31-1))))
		}
	}
	b := []byte("RIFF....WAVELIST\x03\x00\x00\x00abc\x00fmt \x10\x00\x00\x00")
	b = le.AppendUint16(b, format)
	b = le.AppendUint16(b, uint16(channels))
	b = le.AppendUint32(b, uint32(rate))
	b = le.AppendUint32(b, uint32(rate*channels*bits/8))
	b = le.AppendUint16(b, uint16(channels*bits/8))
	b = le.AppendUint16(b, uint16(bits))
	b = append(b, "data"...)
	b = le.AppendUint32(b, uint32(len(data)))
	return append(b, data...)
}

// tone is a second of a sine of 100 periods.
func tone(amplitude float64, rate int) []float64 {
	samples := make([]float64, rate)
	for i := range samples {
		samples[i] = amplitude * math.Sin(2*math.Pi*100*float64(i)/float64(rate))
	}
	return samples
}

func TestLevel(t *testing.T) {
	f := func(file []byte, dbfs, seconds, tolerance float64) {
		t.Helper()
		a, err := level(file)
		if err != nil || math.Abs(a.Seconds-seconds) > 1e-9 || !(math.Abs(a.DBFS-dbfs) <= tolerance || a.DBFS == dbfs) {
			t.Errorf("%+v, %v; want %v dBFS, %v s", a, err, dbfs, seconds)
		}
		if !isWave(file) {
			t.Error("is no WAV file")
		}
	}
	for _, bits := range []int{8, 16, 24, 32} {
		f(waveFile(wavePCM, bits, 1, 8000, tone(1, 8000)...), -3.0103, 1, 0.08)
		f(waveFile(wavePCM, bits, 1, 8000, tone(0.1, 8000)...), -23.0103, 1, 0.5)
		f(waveFile(wavePCM, bits, 2, 8000, tone(1, 8000)...), -3.0103, 0.5, 0.08)
	}
	f(waveFile(waveFloat, 32, 1, 16000, tone(0.5, 16000)...), -9.0309, 1, 1e-4)
	f(waveFile(waveFloat, 64, 1, 16000, tone(0.5, 16000)...), -9.0309, 1, 1e-4)
	f(waveFile(wavePCM, 16, 1, 4, 1, -1, 1, -1), 0, 1, 1e-3)
	f(waveFile(wavePCM, 16, 1, 4, 0, 0), math.Inf(-1), 0.5, 0)
	// Written by a pipe that did not know how long it would be, and cut short.
	piped := waveFile(wavePCM, 16, 1, 8000, tone(1, 8000)...)
	binary.LittleEndian.PutUint32(piped[len(piped)-16004:], math.MaxUint32)
	f(piped, -3.0103, 1, 1e-3)
	f(piped[:len(piped)-8000], -3.0103, 0.5, 1e-3)
	// The format within the extension.
	extended := waveFile(wavePCM, 16, 1, 2, 1, -1)
	extension := append([]byte("\x16\x00\x10\x00\x04\x00\x00\x00\x01\x00"), "\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71"...)
	at := len(extended) - 12
	extended[24+8], extended[24+9] = 0xfe, 0xff
	extended[24+4] = 40
	f(append(append(extended[:at:at], extension...), extended[at:]...), 0, 1, 1e-3)
}

func TestLevelOfWhatIsNoAudio(t *testing.T) {
	for _, file := range [][]byte{
		nil, []byte("RIFF"), []byte("RIFF....WAVE"), []byte("RIFF....WAVEdata\x04\x00\x00\x00abcd"), []byte("RIFF....WEBPVP8 "), []byte("ID3\x04mp3 and more"),
		waveFile(6, 8, 1, 8000, 1, 1),             // A-law
		waveFile(wavePCM, 12, 1, 8000, 1, 1),      // of no size that is
		waveFile(wavePCM, 16, 0, 8000, 1, 1),      // no channel
		waveFile(wavePCM, 16, 1, 0, 1, 1),         // no rate
		waveFile(wavePCM, 16, 2, 8000),            // no sample
		waveFile(waveFloat, 32, 1, 8, math.NaN()), // no number
	} {
		var f Facts
		if f.sound(file); f.Faults[AudioUnreadable] != 1 || len(f.Audio) > 0 {
			t.Errorf("%q: %v", file, f.Audio)
		}
	}
}

func FuzzLevel(f *testing.F) {
	f.Add(waveFile(wavePCM, 16, 1, 8000, 1, -1))
	f.Add(waveFile(waveFloat, 64, 2, 8000, 1, -1))
	f.Add(waveFile(wavePCM, 24, 1, 8000, 1, -1)[:50])
	f.Fuzz(func(t *testing.T, file []byte) {
		a, err := level(file)
		if err == nil && (math.IsNaN(a.DBFS) || math.IsInf(a.DBFS, 1) || !(a.Seconds > 0)) {
			t.Errorf("%+v", a)
		}
	})
}
