// Command compare is behind `make bench`: it has mlproxy and other proxies carry the same exchanges, one after the other, round by round,
// and prints what an exchange costs each of them.
//
// The figure to look at is CPU time per exchange of the proxy and all its processes: it is steadier than exchanges a second, which say
// more about who else uses the machine. The proxies run on one core, the clients and the model servers on another. Ratios are medians of
// the ratios within each round, so that a slow minute of the machine falls on all peers.
package main
