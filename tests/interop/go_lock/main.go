// lock takes the locks that micro-game takes, with its library and settings, moved by lines on its standard input:
//
//	lock 127.0.0.1:6379
//	obtain LOCK:role:42 3000       -> TOKEN, or: not obtained
//	refresh 3000 · ttl · release   -> ok, milliseconds, or the error
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/bsm/redislock"
	"github.com/go-redis/redis/v8"
)

func main() {
	client := redis.NewClient(&redis.Options{Addr: os.Args[1], ReadTimeout: 20 * time.Second})
	locks := redislock.New(client)
	var held *redislock.Lock
	ctx := context.Background()
	say := func(text string, err error) {
		if err != nil {
			text = err.Error()
		}
		fmt.Println(text)
	}
	milliseconds := func(text string) time.Duration {
		n, _ := strconv.Atoi(text)
		return time.Duration(n) * time.Millisecond
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		words := strings.Fields(lines.Text())
		switch words[0] {
		case "obtain":
			retry := redislock.LinearBackoff(100 * time.Millisecond)
			lock, err := locks.Obtain(ctx, words[1], milliseconds(words[2]), &redislock.Options{RetryStrategy: retry})
			token := ""
			if err == nil {
				held = lock
				token = lock.Token()
			}
			say(token, err)
		case "refresh":
			say("ok", held.Refresh(ctx, milliseconds(words[1]), nil))
		case "ttl":
			left, err := held.TTL(ctx)
			say(strconv.FormatInt(left.Milliseconds(), 10), err)
		case "release":
			say("ok", held.Release(ctx))
		}
	}
}
