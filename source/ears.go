package source

import "github.com/fsnotify/fsnotify"

// ears are what File needs of a file watcher.
type ears struct {
	events      <-chan fsnotify.Event
	errors      <-chan error
	add, remove func(folder string) error
}

// listening are ears that hear through fsnotify.
func listening(w *fsnotify.Watcher) ears {
	return ears{events: w.Events, errors: w.Errors, add: w.Add, remove: w.Remove}
}

// deaf are ears that hear nothing: the patrol alone finds changes.
func deaf() ears {
	nothing := func(string) error { return nil }
	return ears{add: nothing, remove: nothing}
}
