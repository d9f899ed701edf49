// hdiff diff OLD NEW OUT SCORE…: HDiffPatch's delta under each minimal score of a match (hdiffz -m-SCORE), uncompressed,
// in both formats: OUT.SCORE.13, and OUT.SCORE.SF of one stream (hdiffz -SD) whose step is the whole file.
// hdiff patch OLD DELTA OUT: applies one of one stream.

#include <algorithm>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

#include "HDiff/diff.h"
#include "HDiff/private_diff/limit_mem_diff/stream_serialize.h"
#include "HPatch/patch.h"

using Bytes = std::vector<unsigned char>;

static Bytes read(const char* path) {
    std::ifstream file(path, std::ios::binary);
    return Bytes(std::istreambuf_iterator<char>(file), {});
}

static void write(const std::string& path, const Bytes& bytes) {
    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (!file.flush()) throw std::runtime_error("cannot write " + path);
}

static hpatch_TStreamInput stream_of(const Bytes& bytes) {
    hpatch_TStreamInput stream;
    mem_as_hStreamInput(&stream, bytes.data(), bytes.data() + bytes.size());
    return stream;
}

static void diff(const Bytes& older, const Bytes& newer, const std::string& out, const std::string& score) {
    std::vector<TCover> covers;
    get_match_covers_by_sstring(newer.data(), newer.data() + newer.size(), older.data(), older.data() + older.size(),
                                covers, std::stoi(score));
    const auto from = stream_of(older), to = stream_of(newer);
    Bytes several, single;
    hdiff_private::TVectorAsStreamOutput to_several(several), to_single(single);
    serialize_compressed_diff(&to, &from, covers, &to_several, nullptr, true);
    const size_t step = std::max<size_t>(newer.size(), kDefaultPatchStepMemSize);
    serialize_single_compressed_diff(&to, &from, covers, &to_single, nullptr, step, true);
    write(out + "." + score + ".13", several);
    write(out + "." + score + ".SF", single);
}

static Bytes patch(const Bytes& older, const Bytes& delta) {
    hpatch_singleCompressedDiffInfo info;
    if (!getSingleCompressedDiffInfo_mem(&info, delta.data(), delta.data() + delta.size()))
        throw std::runtime_error("not a delta of one stream");
    Bytes newer(info.newDataSize), cache(info.stepMemSize + 4 * hpatch_kStreamCacheSize);
    const auto from = stream_of(older), by = stream_of(delta);
    hpatch_TStreamOutput to;
    mem_as_hStreamOutput(&to, newer.data(), newer.data() + newer.size());
    if (!patch_single_compressed_diff(&to, &from, &by, info.diffDataPos, info.uncompressedSize, info.compressedSize,
                                      nullptr, info.coverCount, info.stepMemSize, cache.data(),
                                      cache.data() + cache.size(), nullptr, 1))
        throw std::runtime_error("the delta does not apply");
    return newer;
}

int main(int count, char** arguments) {
    const Bytes older = read(arguments[2]), other = read(arguments[3]);
    if (std::string(arguments[1]) == "patch") {
        write(arguments[4], patch(older, other));
    } else {
        for (int i = 5; i < count; ++i) diff(older, other, arguments[4], arguments[i]);
    }
}
