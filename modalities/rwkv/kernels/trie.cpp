// The World tokenizer's search for the longest token: a trie of 64-byte nodes, children ranked by a bitmap.

#include <cstdint>
#include <cstring>
#include <vector>

namespace {

struct Node {
    uint64_t children[4] = {};  // bit b: there is a child for byte b
    uint32_t first = 0;         // index of the lowest child; the others follow
    int32_t token = -1;

    bool has(uint8_t byte) const { return children[byte >> 6] >> (byte & 63) & 1; }
    uint32_t child(uint8_t byte) const {
        uint32_t rank = __builtin_popcountll(children[byte >> 6] & ((1ull << (byte & 63)) - 1));
        for (int word = 0; word < byte >> 6; word++) rank += __builtin_popcountll(children[word]);
        return first + rank;
    }
};

// Tokens [from, to) share their first `depth` bytes and are sorted, so the shortest comes first.
struct Builder {
    const uint8_t* bytes;
    const int64_t* ends;  // of each token in `bytes`; the first begins at 0
    const int32_t* ids;
    std::vector<Node>& nodes;

    int64_t begin(int64_t token) const { return token ? ends[token - 1] : 0; }
    uint8_t byte(int64_t token, int64_t depth) const { return bytes[begin(token) + depth]; }

    void build(uint32_t index, int64_t from, int64_t to, int64_t depth) {
        if (ends[from] - begin(from) == depth) nodes[index].token = ids[from++];
        std::vector<int64_t> starts;
        for (int64_t token = from; token < to; token++)
            if (token == from || byte(token, depth) != byte(token - 1, depth)) {
                starts.push_back(token);
                nodes[index].children[byte(token, depth) >> 6] |= 1ull << (byte(token, depth) & 63);
            }
        uint32_t first = static_cast<uint32_t>(nodes.size());
        nodes[index].first = first;
        nodes.resize(nodes.size() + starts.size());
        starts.push_back(to);
        for (size_t child = 0; child + 1 < starts.size(); child++)
            build(first + static_cast<uint32_t>(child), starts[child], starts[child + 1], depth + 1);
    }
};

}  // namespace

extern "C" void* trie_new(const uint8_t* bytes, const int64_t* ends, const int32_t* ids, int64_t count) {
    auto* nodes = new std::vector<Node>(1);
    Builder{bytes, ends, ids, *nodes}.build(0, 0, count, 0);
    return nodes;
}

extern "C" void trie_delete(void* trie) { delete static_cast<std::vector<Node>*>(trie); }

// Writes at most `length` ids to `out` and returns how many; every byte must be a token.
extern "C" int64_t trie_encode(const void* trie, const uint8_t* source, int64_t length, int32_t* out) {
    const Node* nodes = static_cast<const std::vector<Node>*>(trie)->data();
    int64_t written = 0;
    for (int64_t position = 0; position < length;) {
        int64_t longest = position + 1;
        int32_t token = 0;
        uint32_t node = 0;
        for (int64_t end = position; end < length && nodes[node].has(source[end]);) {
            node = nodes[node].child(source[end++]);
            if (nodes[node].token >= 0) token = nodes[node].token, longest = end;
        }
        out[written++] = token;
        position = longest;
    }
    return written;
}
