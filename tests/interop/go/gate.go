package main

// A gate as micro-game's is, over plain TCP: of each client one message at a time is a call of Forward.Protocol, whose
// answer goes back under the number of the request. For measurements: nobody has to log in.

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"net"
	"sync"

	"github.com/google/uuid"
	"github.com/micro/go-micro/v2/metadata"
)

const (
	requestHead = 10 // serial:u16 cmd:u32 size:u32
	replyHead   = 14 // serial:u16 cmd:u32 code:u32 size:u32
	maxRequest  = 1 << 20
)

type gate struct {
	node    *node
	name    string
	service string // The games.
	clients sync.Map
}

// player is one of its clients: what is known of it goes with each of its calls.
type player struct {
	mutex sync.Mutex
	meta  metadata.Metadata
}

func (p *player) bind(more map[string]string) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	for key, value := range more {
		p.meta[key] = value
	}
}

func (p *player) context() context.Context {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return metadata.NewContext(context.Background(), metadata.Copy(p.meta))
}

// bind adds to what is known of a client.
func (g *gate) bind(id string, meta map[string]string) {
	if found, ok := g.clients.Load(id); ok {
		found.(*player).bind(meta)
	}
}

// listen serves clients from now on; it returns where.
func (g *gate) listen(address string) (string, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return "", err
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				fatal(err)
			}
			go g.serve(conn)
		}
	}()
	return listener.Addr().String(), nil
}

func (g *gate) serve(conn net.Conn) {
	defer conn.Close()
	id := uuid.New().String()
	client := &player{meta: metadata.Metadata{
		"Node-Id": g.node.id, "Node-Name": g.name, "Client-Id": id, "Client-Ip": conn.RemoteAddr().String(),
		"Client-Ver": "", "Channel-Uid": "", "Server-Id": "", "Account-Id": "", "Role-Id": "",
	}}
	g.clients.Store(id, client)
	defer g.clients.Delete(id)
	in := bufio.NewReaderSize(conn, 4096)
	var head [requestHead]byte
	for {
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return
		}
		size := binary.BigEndian.Uint32(head[6:])
		if size > maxRequest {
			return
		}
		request := &InForwardProtocol{Cmd: binary.BigEndian.Uint32(head[2:]), Data: make([]byte, size)}
		if _, err := io.ReadFull(in, request.Data); err != nil {
			return
		}
		reply := &OutForwardProtocol{}
		call := g.node.client().NewRequest(g.service, "Forward.Protocol", request)
		if err := g.node.client().Call(client.context(), call, reply); err != nil {
			return
		}
		if reply.Code == 0 && len(reply.Data) == 0 {
			continue
		}
		out := make([]byte, replyHead, replyHead+len(reply.Data))
		copy(out, head[:6])
		binary.BigEndian.PutUint32(out[6:], reply.Code)
		binary.BigEndian.PutUint32(out[10:], uint32(len(reply.Data)))
		if _, err := conn.Write(append(out, reply.Data...)); err != nil {
			return
		}
	}
}
