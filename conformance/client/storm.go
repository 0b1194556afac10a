package client

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/kelpie-registry/registry"
	"github.com/kelpie-registry/registry/conformance"
)

// A storm is what happens to three nodes that want two actors, drawn from a seed.
// A storm that convicts is made shorter by leaving out what is not needed.

func stormCases() []Case {
	return []Case{{"storm", "random", "everything at once, drawn from the seed", []conformance.RuleID{conformance.ServesAlone, conformance.ServesInTime, conformance.ClientServes}, func(cfg registry.Config, seed uint64) []play {
		var plays []play
		for i := range uint64(6) {
			plays = append(plays, stormy(cfg, drawStorm(cfg, seed<<8+i)))
		}
		return plays
	}}}
}

// gust is one thing that happens to a node: at what time, and for how long.
type gust struct {
	at, lasts time.Duration
	node      int
	what      string
	t         trouble       // of a trouble
	offset    time.Duration // of a clock's step
}

func drawStorm(cfg registry.Config, seed uint64) []gust {
	rng := rand.New(rand.NewPCG(seed, 0x73746f726d))
	upTo := func(d time.Duration) time.Duration { return time.Duration(rng.Int64N(int64(d)) + 1) }
	var all []gust
	for range 12 {
		g := gust{at: cfg.TTL/2 + upTo(8*cfg.TTL), lasts: upTo(2 * cfg.TTL), node: rng.IntN(3)}
		switch rng.IntN(8) {
		case 0:
			g.what = "pause"
		case 1:
			g.what, g.offset = "step", upTo(2*cfg.MaxClockSkew)-cfg.MaxClockSkew
		case 2:
			g.what = "kill"
		case 3:
			g.what = "drop"
		case 4:
			g.what = "move"
		default:
			g.what = "trouble"
			kinds := []trouble{
				{kind: silent, name: "requests are lost"}, {kind: refused, name: "connections are refused"}, {kind: unheard, name: "answers are lost"},
				{kind: unsure, name: "outcomes are unknown"}, {kind: open, name: "outcomes are unknown and requests may arrive later"},
				{kind: slow, name: "messages are slow", d: upTo(cfg.TTL / 4)}, {kind: shuffled, name: "messages overtake each other", d: upTo(cfg.TTL / 2)},
				{kind: twice, name: "messages arrive twice", d: upTo(cfg.TTL)}, {kind: late, name: "some requests arrive late", percent: 20, d: upTo(cfg.TTL)},
			}
			g.t = kinds[rng.IntN(len(kinds))]
		}
		all = append(all, g)
	}
	slices.SortFunc(all, func(a, b gust) int { return int(a.at - b.at) })
	return all
}

func stormy(cfg registry.Config, storm []gust) play {
	return play{
		name: fmt.Sprintf("a storm of %d", len(storm)),
		run:  func(w *world) { w.weather(storm) },
		shorter: func() []play {
			var less []play
			for i := range storm {
				less = append(less, stormy(cfg, slices.Concat(storm[:i], storm[i+1:])))
			}
			return less
		},
	}
}

// weather carries a storm out, and judges that everything is served afterwards.
func (w *world) weather(storm []gust) {
	w.judged.Steps = 2 * w.cfg.MaxClockSkew
	actors := []registry.ActorID{shop(0), shop(1)}
	nodes := make([]*process, 3)
	for i := range nodes {
		nodes[i] = w.start(fmt.Sprint("n", i+1), 0)
		nodes[i].want(actors...)
	}
	type end struct {
		at time.Duration
		do func()
	}
	var ends []end
	until := func(t time.Duration) {
		for len(ends) > 0 {
			slices.SortStableFunc(ends, func(a, b end) int { return int(a.at - b.at) })
			if ends[0].at > t {
				break
			}
			w.pass(ends[0].at - w.now())
			ends[0].do()
			ends = ends[1:]
		}
		w.pass(t - w.now())
	}
	later := func(d time.Duration, do func()) { ends = append(ends, end{w.now() + d, do}) }
	for _, g := range storm {
		until(g.at)
		p := nodes[g.node]
		if p.halted != nil || p.dead {
			continue
		}
		switch g.what {
		case "pause":
			p.halt()
			later(g.lasts, p.resume)
		case "step":
			p.step(g.offset)
		case "kill":
			p.kill()
			later(g.lasts, func() {
				nodes[g.node] = w.start(string(p.id), 0)
				go nodes[g.node].want(actors...)
			})
		case "drop", "move":
			to := nodes[(g.node+1)%3]
			if _, yes := p.serves(actors[0]); !yes || to.dead {
				continue
			}
			ctx := w.cfg.TTL / 4
			go func() {
				if g.what == "drop" {
					p.drop(actors[0], ctx)
				} else {
					p.move(to, actors[0], ctx)
				}
			}()
			later(2*w.cfg.TTL, func() {
				if !p.dead {
					go p.want(actors[0])
				}
			})
		case "trouble":
			later(g.lasts, p.suffer(g.t))
		}
	}
	until(w.now() + 3*w.cfg.TTL)
	for _, a := range actors {
		if w.await(a, 2*w.times.Resume, "the storm is over") == nil {
			return
		}
	}
	w.calm("the storm was over", actors...)
}
