// interop is a service on go-micro v2.9.1, set up as micro-game sets its services up, that a test moves by lines of
// JSON on its standard input; each is answered by one line.
//
//	interop -name game -registry 127.0.0.1:2379 -broker 127.0.0.1:4222
//	{"do":"call","service":"probe","endpoint":"Probe.Echo","in":{"Text":"hi"},"meta":{"Role-Id":"7"}}
//	{"out":{"Text":"..."}}
//
// With -serve it obeys nobody: it prints `ready` and serves until SIGTERM, with -clients as a gate of the service that
// -games names.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/golang/protobuf/proto"
	"github.com/google/uuid"
	"github.com/micro/go-micro/v2"
	"github.com/micro/go-micro/v2/broker"
	"github.com/micro/go-micro/v2/broker/nats"
	"github.com/micro/go-micro/v2/client"
	"github.com/micro/go-micro/v2/client/grpc"
	"github.com/micro/go-micro/v2/client/selector"
	debug "github.com/micro/go-micro/v2/debug/service/proto"
	"github.com/micro/go-micro/v2/errors"
	"github.com/micro/go-micro/v2/metadata"
	"github.com/micro/go-micro/v2/registry"
	"github.com/micro/go-micro/v2/registry/etcd"
	"github.com/micro/go-micro/v2/server"
	servergrpc "github.com/micro/go-micro/v2/server/grpc"
)

// Command is one line of the input.
type Command struct {
	Do          string            `json:"do"`
	Service     string            `json:"service"`
	Endpoint    string            `json:"endpoint"`
	Node        string            `json:"node"` // The UUID of the one node to call.
	Meta        map[string]string `json:"meta"`
	TimeoutMs   int64             `json:"timeout_ms"`
	CancelMs    int64             `json:"cancel_ms"` // Gives up by itself after this time.
	Retries     int               `json:"retries"`
	ContentType string            `json:"content_type"`
	In          *Message          `json:"in"`
	Texts       []string          `json:"texts"` // Of a stream, one message each.
	Cmd         uint32            `json:"cmd"`
	Data        []byte            `json:"data"`
	Topic       string            `json:"topic"`
	NodeId      string            `json:"node_id"`
	ClientId    string            `json:"client_id"`
	Bind        map[string]string `json:"bind"` // Metadata for a client.
}

// Failure is an error; without fields of a go-micro error it is only a text.
type Failure struct {
	Micro  bool   `json:"micro"`
	Id     string `json:"id"`
	Code   int32  `json:"code"`
	Detail string `json:"detail"`
	Status string `json:"status"`
	Text   string `json:"text"`
}

type Answer struct {
	Out   interface{} `json:"out,omitempty"`
	Error *Failure    `json:"error,omitempty"`
}

func failure(err error) *Failure {
	if err == nil {
		return nil
	}
	if e, ok := err.(*errors.Error); ok {
		return &Failure{true, e.Id, e.Code, e.Detail, e.Status, err.Error()}
	}
	return &Failure{Text: err.Error()}
}

type node struct {
	id       string
	service  micro.Service
	registry registry.Registry
	heard    *hearing
}

func (n *node) client() client.Client { return n.service.Client() }

func (c *Command) context() (context.Context, context.CancelFunc) {
	ctx := context.Background()
	if c.Meta != nil {
		ctx = metadata.NewContext(ctx, c.Meta)
	}
	if c.CancelMs > 0 {
		ctx, cancel := context.WithCancel(ctx)
		time.AfterFunc(time.Duration(c.CancelMs)*time.Millisecond, cancel)
		return ctx, cancel
	}
	return context.WithCancel(ctx)
}

func (c *Command) options() []client.CallOption {
	options := []client.CallOption{client.WithRetries(c.Retries)}
	if c.TimeoutMs > 0 {
		options = append(options, client.WithRequestTimeout(time.Duration(c.TimeoutMs)*time.Millisecond))
	}
	if c.Node != "" {
		id := c.Service + "-" + c.Node
		options = append(options, client.WithSelectOption(selector.WithFilter(
			func(old []*registry.Service) []*registry.Service {
				var services []*registry.Service
				for _, service := range old {
					copied := *service
					copied.Nodes = nil
					for _, each := range service.Nodes {
						if each.Id == id {
							copied.Nodes = append(copied.Nodes, each)
						}
					}
					if len(copied.Nodes) > 0 {
						services = append(services, &copied)
					}
				}
				return services
			})))
	}
	return options
}

func (n *node) request(c *Command, in interface{}, more ...client.RequestOption) client.Request {
	if c.ContentType != "" {
		more = append(more, client.WithContentType(c.ContentType))
	}
	return n.client().NewRequest(c.Service, c.Endpoint, in, more...)
}

func (n *node) call(c *Command, in, out proto.Message) Answer {
	ctx, cancel := c.context()
	defer cancel()
	if err := n.client().Call(ctx, n.request(c, in), out, c.options()...); err != nil {
		return Answer{Error: failure(err)}
	}
	return Answer{Out: out}
}

// stream sends all texts, each after the echo of the one before, and gives the echoes.
func (n *node) stream(c *Command) Answer {
	ctx, cancel := c.context()
	defer cancel()
	request := n.request(c, &Message{}, client.StreamingRequest())
	stream, err := n.client().Stream(ctx, request, c.options()...)
	if err != nil {
		return Answer{Error: failure(err)}
	}
	defer stream.Close()
	echoes := []string{}
	for _, text := range c.Texts {
		if err := stream.Send(&Message{Text: text}); err != nil {
			return Answer{echoes, failure(err)}
		}
		out := &Message{}
		if err := stream.Recv(out); err != nil {
			return Answer{echoes, failure(err)}
		}
		echoes = append(echoes, out.Text)
	}
	return Answer{Out: echoes}
}

func (n *node) do(c *Command) Answer {
	switch c.Do {
	case "call":
		if c.In == nil {
			c.In = &Message{}
		}
		return n.call(c, c.In, &Message{})
	case "forward":
		return n.call(c, &InForwardProtocol{Cmd: c.Cmd, Data: c.Data}, &OutForwardProtocol{})
	case "offline":
		return n.call(c, &Empty{}, &Empty{})
	case "push":
		return n.call(c, &InGatePush{ClientId: c.ClientId, Cmd: c.Cmd, Data: c.Data}, &Empty{})
	case "bind":
		return n.call(c, &InGateBind{ClientId: c.ClientId, Meta: c.Bind, AuthState: 1}, &Empty{})
	case "stream":
		return n.stream(c)
	case "health":
		return n.call(c, &debug.HealthRequest{}, &debug.HealthResponse{})
	case "stats":
		return n.call(c, &debug.StatsRequest{}, &debug.StatsResponse{})
	case "publish", "cancel":
		var message proto.Message = c.In
		if c.Do == "cancel" {
			c.Topic, message = "cancel", &Cancel{Name: c.Service, NodeId: c.NodeId}
		}
		ctx, cancel := c.context()
		defer cancel()
		var options []client.MessageOption
		if c.ContentType != "" {
			options = append(options, client.WithMessageContentType(c.ContentType))
		}
		err := n.client().Publish(ctx, n.client().NewMessage(c.Topic, message, options...))
		return Answer{Error: failure(err)}
	case "heard":
		return Answer{Out: n.heard.take()}
	case "nodes":
		services, err := n.registry.GetService(c.Service)
		if err != nil && err != registry.ErrNotFound {
			return Answer{Error: failure(err)}
		}
		nodes := []*registry.Node{}
		for _, service := range services {
			nodes = append(nodes, service.Nodes...)
		}
		return Answer{Out: nodes}
	}
	return Answer{Error: &Failure{Text: "no such command: " + c.Do}}
}

func fatal(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "interop:", err)
		os.Exit(1)
	}
}

func main() {
	name := flag.String("name", "probe", "of the service")
	address := flag.String("address", "127.0.0.1:0", "to be called at")
	registries := flag.String("registry", "127.0.0.1:2379", "etcd")
	brokers := flag.String("broker", "127.0.0.1:4222", "NATS")
	ttl := flag.Duration("ttl", time.Minute, "of the registration")
	serve := flag.Bool("serve", false, "until SIGTERM, without commands")
	clients := flag.String("clients", "", "address to serve clients of a gate at, with -serve")
	games := flag.String("games", "game", "service that the messages of clients go to")
	flag.Parse()

	id := uuid.New().String()
	heard := &hearing{}
	n := &node{id: id, heard: heard, registry: etcd.NewRegistry(registry.Addrs(*registries))}
	ctx, stop := context.WithCancel(context.Background())
	ready := make(chan struct{})
	n.service = micro.NewService(
		micro.Server(servergrpc.NewServer(server.Id(id), server.Name(*name))),
		micro.Client(grpc.NewClient(client.Retries(0), client.RequestTimeout(10*time.Second))),
		micro.Name(*name), micro.Address(*address), micro.Context(ctx),
		micro.Registry(n.registry), micro.Broker(nats.NewBroker(broker.Addrs(*brokers))),
		micro.RegisterTTL(*ttl), micro.RegisterInterval(*ttl/2),
		micro.AfterStart(func() error { close(ready); return nil }))

	handle := func(handler interface{}) {
		fatal(n.service.Server().Handle(n.service.Server().NewHandler(handler, server.InternalHandler(true))))
	}
	handle(&Forward{id, heard})
	front := &gate{node: n, name: *name, service: *games}
	handle(&GateService{heard, front})
	handle(&Probe{id, heard})
	subscribe := func(topic string, handler interface{}, options ...server.SubscriberOption) {
		options = append(options, server.InternalSubscriber(true))
		fatal(micro.RegisterSubscriber(topic, n.service.Server(), handler, options...))
	}
	subscribe("interop.all", func(ctx context.Context, in *Message) error {
		heard.add(ctx, "interop.all", in.Text)
		return nil
	})
	subscribe("interop.queue", func(ctx context.Context, in *Message) error {
		heard.add(ctx, "interop.queue", in.Text)
		return nil
	}, server.SubscriberQueue("interop.queue"))
	subscribe("cancel", func(_ context.Context, in *Cancel) error {
		if in.Name == *name && (in.NodeId == "" || in.NodeId == id) {
			stop()
		}
		return nil
	})

	ended := make(chan error, 1)
	go func() { ended <- n.service.Run() }()
	select {
	case err := <-ended:
		fatal(err)
		return
	case <-ready:
	}
	if *serve {
		if *clients != "" {
			at, err := front.listen(*clients)
			fatal(err)
			fmt.Println("tcp://" + at)
		}
		fmt.Println("ready")
		fatal(<-ended)
		return
	}
	answer := json.NewEncoder(os.Stdout)
	fatal(answer.Encode(map[string]string{"id": id, "address": n.service.Server().Options().Address}))
	go func() {
		lines := bufio.NewScanner(os.Stdin)
		lines.Buffer(nil, 1<<24)
		for lines.Scan() {
			command := &Command{}
			if err := json.Unmarshal(lines.Bytes(), command); err != nil {
				fatal(err)
			}
			fatal(answer.Encode(n.do(command)))
		}
		stop() // Whoever started it has gone.
	}()
	fatal(<-ended)
}
