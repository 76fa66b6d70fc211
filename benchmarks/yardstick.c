/* The yardstick: a capture file to bidirectional flows, as one would write it in C in an afternoon.
 *
 *     cc -O2 -o yardstick yardstick.c && ./yardstick CAPTURE.pcap
 *
 * Classic pcap (microseconds, this machine's byte order), Ethernet, IPv4 and IPv6, TCP and UDP. The file is mapped; flows lie in one array
 * that grows, found through an open hash table that doubles at half load. No threads, no prefetching, no vector instructions.
 * What it keeps of each flow is what netwatch keeps: packets, bytes, payload, flags, first and last time, retransmissions and the moments
 * of the handshake. Prints one line of JSON.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { FIN = 1, SYN = 2, RST = 4, ACK = 16, TCP = 6, UDP = 17 };

struct key {
    uint64_t src_hi, src_lo, dst_hi, dst_lo;
    uint16_t sport, dport;
    uint8_t protocol;
};

struct side {
    uint64_t packets, bytes, payload;
    int64_t last_ns;
    uint32_t next_seq, retransmitted;
    uint8_t flags, has_seq;
};

struct flow {
    struct key key; /* as the first packet had it */
    int64_t first_ns, syn_ns, synack_ns, ack_ns;
    struct side side[2];
};

static struct flow *flows;
static uint32_t flow_count, flow_room;
static uint32_t *slots; /* flow + 1, 0 empty */
static uint32_t slot_count;

static uint64_t big(const uint8_t *p, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++)
        value = value << 8 | p[i];
    return value;
}

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static uint64_t hash(const struct key *k) /* the same for both directions */
{
    return mix(k->src_lo ^ mix(k->src_hi + k->sport) ^ k->protocol) + mix(k->dst_lo ^ mix(k->dst_hi + k->dport) ^ k->protocol);
}

static int direction(const struct key *a, const struct key *b)
{
    if (a->protocol != b->protocol)
        return -1;
    if (a->src_lo == b->src_lo && a->dst_lo == b->dst_lo && a->sport == b->sport && a->dport == b->dport && a->src_hi == b->src_hi &&
        a->dst_hi == b->dst_hi)
        return 0;
    if (a->src_lo == b->dst_lo && a->dst_lo == b->src_lo && a->sport == b->dport && a->dport == b->sport && a->src_hi == b->dst_hi &&
        a->dst_hi == b->src_hi)
        return 1;
    return -1;
}

static void grow(void)
{
    uint32_t old = slot_count;
    slot_count = old ? old * 2 : 1 << 16;
    free(slots);
    slots = calloc(slot_count, sizeof *slots);
    for (uint32_t i = 0; i < flow_count; i++) {
        uint32_t s = hash(&flows[i].key) & (slot_count - 1);
        while (slots[s])
            s = (s + 1) & (slot_count - 1);
        slots[s] = i + 1;
    }
}

static struct flow *find(const struct key *key, int64_t ts_ns, int *way)
{
    uint32_t s = hash(key) & (slot_count - 1);
    for (; slots[s]; s = (s + 1) & (slot_count - 1)) {
        struct flow *flow = &flows[slots[s] - 1];
        if ((*way = direction(&flow->key, key)) >= 0)
            return flow;
    }
    if (flow_count == flow_room) {
        flow_room = flow_room ? flow_room * 2 : 1 << 16;
        flows = realloc(flows, flow_room * sizeof *flows);
    }
    struct flow *flow = &flows[flow_count++];
    memset(flow, 0, sizeof *flow);
    flow->key = *key;
    flow->first_ns = ts_ns;
    slots[s] = flow_count;
    *way = 0;
    if (flow_count * 2 > slot_count)
        grow();
    return flow;
}

static void count(const uint8_t *frame, uint32_t captured, uint32_t wire, int64_t ts_ns)
{
    struct key key = {0};
    const uint8_t *ip = frame + 14, *transport;
    uint32_t length;

    if (captured < 14 + 20)
        return;
    uint16_t ethertype = big(frame + 12, 2);
    if (ethertype == 0x0800 && ip[0] >> 4 == 4 && (ip[0] & 15) >= 5) {
        uint32_t header = (ip[0] & 15) * 4;
        key.src_lo = 0xffff00000000u | big(ip + 12, 4);
        key.dst_lo = 0xffff00000000u | big(ip + 16, 4);
        key.protocol = ip[9];
        length = big(ip + 2, 2) - header;
        transport = ip + header;
    } else if (ethertype == 0x86dd && captured >= 14 + 40) {
        key.src_hi = big(ip + 8, 8);
        key.src_lo = big(ip + 16, 8);
        key.dst_hi = big(ip + 24, 8);
        key.dst_lo = big(ip + 32, 8);
        key.protocol = ip[6];
        length = big(ip + 4, 2);
        transport = ip + 40;
    } else {
        return;
    }
    uint32_t need = key.protocol == TCP ? 20 : 8, header = need;
    if ((key.protocol != TCP && key.protocol != UDP) || transport + need > frame + captured)
        return;
    key.sport = big(transport, 2);
    key.dport = big(transport + 2, 2);
    uint8_t flags = 0;
    uint32_t seq = 0;
    if (key.protocol == TCP) {
        seq = big(transport + 4, 4);
        header = (transport[12] >> 4) * 4;
        flags = transport[13];
    }
    if (header > length)
        return;

    int way;
    struct flow *flow = find(&key, ts_ns, &way);
    struct side *side = &flow->side[way];
    uint32_t payload = length - header;
    side->packets++;
    side->bytes += wire;
    side->payload += payload;
    side->flags |= flags;
    side->last_ns = ts_ns;
    if (key.protocol != TCP)
        return;
    uint32_t used = payload + ((flags & SYN) != 0) + ((flags & FIN) != 0), end = seq + used;
    if (used) {
        if (side->has_seq && (int32_t)(end - side->next_seq) <= 0)
            side->retransmitted++;
        else
            side->next_seq = end;
        side->has_seq = 1;
    }
    if ((flags & (SYN | ACK)) == SYN && !flow->syn_ns)
        flow->syn_ns = ts_ns;
    else if ((flags & (SYN | ACK)) == (SYN | ACK) && !flow->synack_ns)
        flow->synack_ns = ts_ns;
    else if (flags & ACK && flow->synack_ns && !flow->ack_ns && way == 0)
        flow->ack_ns = ts_ns;
}

int main(int argc, char **argv)
{
    struct stat status;
    int file = argc == 2 ? open(argv[1], O_RDONLY) : -1;
    if (file < 0 || fstat(file, &status) || status.st_size < 24) {
        fprintf(stderr, "usage: yardstick CAPTURE.pcap\n");
        return 2;
    }
    const uint8_t *data = mmap(0, status.st_size, PROT_READ, MAP_PRIVATE, file, 0);
    uint32_t magic;
    memcpy(&magic, data, 4);
    if (data == MAP_FAILED || magic != 0xa1b2c3d4) {
        fprintf(stderr, "yardstick: %s: not a classic pcap with microseconds in this machine's byte order\n", argv[1]);
        return 1;
    }
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    grow();
    uint64_t packets = 0, retransmitted = 0;
    for (const uint8_t *p = data + 24, *last = data + status.st_size; p + 16 <= last; packets++) {
        uint32_t record[4];
        memcpy(record, p, 16);
        if (record[2] > (uint64_t)(last - p) - 16)
            break;
        count(p + 16, record[2], record[3], record[0] * INT64_C(1000000000) + record[1] * INT64_C(1000));
        p += 16 + record[2];
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    for (uint32_t i = 0; i < flow_count; i++)
        retransmitted += flows[i].side[0].retransmitted + flows[i].side[1].retransmitted;
    double seconds = end.tv_sec - begin.tv_sec + (end.tv_nsec - begin.tv_nsec) / 1e9;
    printf("{\"packets\": %llu, \"flows\": %u, \"retransmitted\": %llu, \"seconds\": %.4f, \"million_packets_per_s\": %.2f}\n",
           (unsigned long long)packets, flow_count, (unsigned long long)retransmitted, seconds, packets / seconds / 1e6);
    return 0;
}
