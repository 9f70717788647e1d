package main

// What a node serves: Probe for the tests, Forward as a game does, GateService as a gate does. All as a micro-game
// service registers them: internal, so that the registry record has no endpoints.

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/micro/go-micro/v2/errors"
	"github.com/micro/go-micro/v2/metadata"
	"github.com/micro/go-micro/v2/server"
)

// Heard is one message or call that came in.
type Heard struct {
	What string            `json:"what"`
	Text string            `json:"text"`
	Meta map[string]string `json:"meta"`
}

type hearing struct {
	mutex sync.Mutex
	all   []Heard
}

func (h *hearing) add(ctx context.Context, what, text string) {
	md, _ := metadata.FromContext(ctx)
	h.mutex.Lock()
	defer h.mutex.Unlock()
	h.all = append(h.all, Heard{what, text, md})
}

func (h *hearing) take() []Heard {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	all := h.all
	h.all = nil
	return all
}

// Probe is named as its endpoints are.
type Probe struct {
	node  string
	heard *hearing
}

// Who answers with its node.
func (p *Probe) Who(_ context.Context, _ *Message, out *Message) error {
	out.Text = p.node
	return nil
}

// Echo answers with what came, Text being the metadata as JSON.
func (p *Probe) Echo(ctx context.Context, in *Message, out *Message) error {
	md, _ := metadata.FromContext(ctx)
	text, err := json.Marshal(md)
	*out = *in
	out.Text = string(text)
	return err
}

// Fail answers with the error asked for; Data: "plain" an ordinary error, "panic" a panic.
func (p *Probe) Fail(_ context.Context, in *Message, _ *Message) error {
	switch string(in.Data) {
	case "plain":
		return fmt.Errorf("%s", in.Text)
	case "panic":
		panic(in.Text)
	}
	return &errors.Error{Id: p.node, Code: in.Code, Detail: in.Text, Status: "status " + in.Text}
}

// Slow answers after Number milliseconds, or when its caller's time is up. It notes how it ended, and the time it was
// given in milliseconds.
func (p *Probe) Slow(ctx context.Context, in *Message, out *Message) error {
	left := int64(-1)
	if deadline, ok := ctx.Deadline(); ok {
		left = time.Until(deadline).Milliseconds()
	}
	select {
	case <-ctx.Done():
		p.heard.add(ctx, "slow", ctx.Err().Error())
		return ctx.Err()
	case <-time.After(time.Duration(in.Number) * time.Millisecond):
		p.heard.add(ctx, "slow", "done")
		out.Number = left
		return nil
	}
}

// Chat sends back each message, until the other side sends no more, or says "end" or "fail".
func (p *Probe) Chat(ctx context.Context, stream server.Stream) error {
	for {
		in := &Message{}
		if err := stream.Recv(in); err != nil {
			p.heard.add(ctx, "chat", err.Error())
			if err == io.EOF {
				return nil
			}
			return err
		}
		switch in.Text {
		case "end":
			return nil
		case "fail":
			return errors.Forbidden(p.node, "no more")
		}
		if err := stream.Send(in); err != nil {
			return err
		}
	}
}

// Forward is what gates call.
type Forward struct {
	node  string
	heard *hearing
}

// Protocol answers command 1 with the data, 2 with the metadata as JSON, 3 with code 404, 4 with an error of the call.
func (f *Forward) Protocol(ctx context.Context, in *InForwardProtocol, out *OutForwardProtocol) error {
	md, _ := metadata.FromContext(ctx)
	switch in.Cmd {
	case 1:
		out.Data = in.Data
	case 2:
		text, err := json.Marshal(md)
		out.Data = text
		return err
	case 3:
		out.Code = 404
	default:
		return errors.Unauthorized(f.node, "Game Login Unauthorized")
	}
	return nil
}

func (f *Forward) Offline(ctx context.Context, _ *Empty, _ *Empty) error {
	f.heard.add(ctx, "offline", "")
	return nil
}

// GateService is what games call.
type GateService struct {
	heard *hearing
	gate  *gate
}

func (g *GateService) Push(ctx context.Context, in *InGatePush, _ *Empty) error {
	g.heard.add(ctx, "push", in.String())
	return nil
}

func (g *GateService) Bind(ctx context.Context, in *InGateBind, _ *Empty) error {
	g.gate.bind(in.ClientId, in.Meta)
	text, err := json.Marshal(in)
	g.heard.add(ctx, "bind", string(text))
	return err
}

func (g *GateService) Kick(ctx context.Context, in *InGateKick, _ *Empty) error {
	text, err := json.Marshal(in)
	g.heard.add(ctx, "kick", string(text))
	return err
}
