/* Blocks of the KV cache in int8: how a token's key and value are packed, and a block's are unpacked.
 *
 * Some channels of keys have a huge constant part, next to which the differences between tokens would be lost. A block
 * therefore keeps its first key, the base, in fp16. Of every key it keeps the difference from the base, which is first
 * rotated (RoPE) from the first token's position to that of the key. KV_GROUP numbers share a scale in fp16. A group of a
 * key has both channels of the pairs that RoPE rotates, so that a large pair spoils one group and not two.
 */
#pragma once
#include "layers.h"

#define KV_GROUP 16
#define KV_PAIRS (KV_GROUP / 2)

/* Numbers [head_dim][16], scales [head_dim / 16][16], base [head_dim]. */
typedef struct {
    int8_t *numbers;
    uint16_t *scales, *base;
} Int8Keys;

/* Numbers [16][head_dim], scales [16][head_dim / 16]. */
typedef struct {
    int8_t *numbers;
    uint16_t *scales;
} Int8Values;

INLINE size_t int8_keys_bytes(size_t size) { return BLOCK_TOKENS * (size + size / KV_GROUP * 2) + size * 2; }

INLINE size_t int8_values_bytes(size_t size) { return BLOCK_TOKENS * (size + size / KV_GROUP * 2); }

INLINE Int8Keys int8_keys(char *block, int size) {
    uint16_t *scales = (uint16_t *)(block + BLOCK_TOKENS * size);
    return (Int8Keys){(int8_t *)block, scales, scales + size / KV_GROUP * BLOCK_TOKENS};
}

INLINE Int8Values int8_values(char *block, int size) {
    return (Int8Values){(int8_t *)block, (uint16_t *)(block + BLOCK_TOKENS * size)};
}

/* Packs a key. `first` is the first one of its block, or NULL if the block has it already. Rotations as in Layer. */
INLINE void pack_int8_key(
    char *block, int slot, const float *key, const float *first, const float *rotations, int size) {
    Int8Keys keys = int8_keys(block, size);
    int half = size / 2;
    uint16_t rounded[size];
    float base[size];
    for (int i = 0; i < size; i++)
        rounded[i] = first ? fp32_to_fp16(first[i]) : keys.base[i];
    for (int i = 0; i < size; i += LANES)
        store(base + i, load_fp16(rounded + i));
    for (int from = 0; from < half; from += KV_PAIRS) {
        float difference[KV_GROUP];
        int8_t numbers[KV_GROUP];
        int32_t sum;
        for (int i = 0; i < KV_PAIRS; i++) {
            int pair = from + i;
            float cosine = rotations[2 * pair * BLOCK_TOKENS + slot];
            float sine = rotations[(2 * pair + 1) * BLOCK_TOKENS + slot];
            difference[i] = key[pair] - (base[pair] * cosine - base[half + pair] * sine);
            difference[KV_PAIRS + i] = key[half + pair] - (base[half + pair] * cosine + base[pair] * sine);
        }
        float scale = quantise_floats(difference, KV_GROUP, numbers, &sum);
        keys.scales[from / KV_PAIRS * BLOCK_TOKENS + slot] = fp32_to_fp16(scale);
        for (int i = 0; i < KV_PAIRS; i++) {
            keys.numbers[(from + i) * BLOCK_TOKENS + slot] = numbers[i];
            keys.numbers[(half + from + i) * BLOCK_TOKENS + slot] = numbers[KV_PAIRS + i];
        }
    }
    if (slot == 0)
        memcpy(keys.base, rounded, sizeof rounded);
}

INLINE void pack_int8_value(char *block, int slot, const float *value, int size) {
    Int8Values values = int8_values(block, size);
    int32_t sum;
    for (int i = 0; i < size; i += KV_GROUP) {
        float scale = quantise_floats(value + i, KV_GROUP, values.numbers + slot * size + i, &sum);
        values.scales[(slot * size + i) / KV_GROUP] = fp32_to_fp16(scale);
    }
}

/* Unpacks a block's keys: to[head_dim][16]. */
INLINE void unpack_int8_keys(char *block, const float *rotations, int size, float *restrict to) {
    Int8Keys keys = int8_keys(block, size);
    int half = size / 2;
    float base[size];
    for (int i = 0; i < size; i += LANES)
        store(base + i, load_fp16(keys.base + i));
    for (int from = 0; from < half; from += KV_PAIRS)
        for (int v = 0; v < BLOCK_TOKENS; v += LANES) {
            vf32 scale = load_fp16(keys.scales + from / KV_PAIRS * BLOCK_TOKENS + v);
            UNROLLED for (int i = from; i < from + KV_PAIRS; i++) {
                const float *rotation = rotations + 2 * i * BLOCK_TOKENS + v;
                vf32 cosine = load(rotation), sine = load(rotation + BLOCK_TOKENS);
                int first = i * BLOCK_TOKENS + v, second = (half + i) * BLOCK_TOKENS + v;
                vf32 first_base = base[i] * cosine - base[half + i] * sine;
                vf32 second_base = base[half + i] * cosine + base[i] * sine;
                store(to + first, load_int8(keys.numbers + first) * scale + first_base);
                store(to + second, load_int8(keys.numbers + second) * scale + second_base);
            }
        }
}

/* Unpacks a block's values: to[16][head_dim]. */
INLINE void unpack_int8_values(char *block, int size, float *restrict to) {
    Int8Values values = int8_values(block, size);
    float scales[size];
    for (int i = 0; i < size; i += LANES)
        store(scales + i, load_fp16(values.scales + i));
    for (int i = 0; i < size; i += 8)
        UNROLLED for (int d = i * KV_GROUP; d < (i + 8) * KV_GROUP; d += LANES)
            store(to + d, load_int8(values.numbers + d) * scales[d / KV_GROUP]);
}
