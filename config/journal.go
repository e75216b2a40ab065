package config

import "time"

var (
	journalFile = nearby(text("path", "predictions.jsonl", ".", nonEmpty("predictions.jsonl")))
	anyJSONPath = text("JSON path", "user.name", jsonPathPattern, jsonPath)
)

var journal = section("journal", nil,
	required(key("file", journalFile, func(j *Journal) *string { return &j.File }, "",
		"Where it is written. A relative path starts at the folder of this file.")),
	key("sample", share, func(j *Journal) *float64 { return &j.Sample }, "100%",
		"Share of the exchanges with model servers that are in it."),
	key("max_size", size(0, int64(1024*gib)), func(j *Journal) *int64 { return &j.MaxSize }, "100MiB",
		"Bytes above which the file is renamed and a new one begun; 0B: none, SIGUSR1 reopens the file."),
	key("max_age", notNegative, func(j *Journal) *time.Duration { return &j.MaxAge }, "24h",
		"Time after which the same is done; 0s: never."),
	key("keep", whole(0, 10_000), func(j *Journal) *int { return &j.Keep }, "5",
		"Renamed files that are kept; older ones are removed."),
	key("bodies", yesOrNo, func(j *Journal) *bool { return &j.Bodies }, "false",
		"Whether the bodies of inspected exchanges are in it, too, as far as they came whole and not compressed."),
	key("redact", listOf(anyJSONPath, 0), func(j *Journal) *[]string { return &j.Redact }, "[]",
		"Dotted paths into JSON bodies (`user.name`, `inputs.*.data`; `*` is every member or element) whose values are left out. "+
			"A body that is no JSON is then left out whole."),
	key("hash", listOf(anyJSONPath, 0), func(j *Journal) *[]string { return &j.Hash }, "[]",
		"Paths whose values are replaced by their HMAC-SHA256, the same for equal values, under the first key of `feedback.key_file`, "+
			"or a random one of the process."),
	key("fsync", word([]string{"never", "interval", "always"}), func(j *Journal) *string { return &j.Fsync }, "never",
		"When what is written is flushed to the disk: when the system likes, every second, or after every write."),
)

// Journal configures the log of predictions.
type Journal struct {
	File         string  // absolute, or relative to the working directory
	Sample       float64 // 0..1
	MaxSize      int64   // bytes above which the file is rotated; 0 = never
	MaxAge       time.Duration
	Keep         int // rotated files
	Bodies       bool
	Redact, Hash []string // dotted paths
	Fsync        string   // never | interval | always
}
