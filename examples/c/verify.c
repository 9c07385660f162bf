/* Are two recordings of one speaker? With onnxruntime's C API alone.
 *
 *     ./verify student.onnx one.wav other.wav    score, threshold, decision
 *     ./verify student.onnx one.wav              the embedding, a number a line
 *
 * student.onnx: of `speechbrain-kd export RUN --to onnx` (or onnx-int8). The
 * WAV files have one channel of 16 bits, at the model's sample rate. What is
 * refused and how long recordings are cut is as in speechbrain_kd.runtime.
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "onnxruntime_c_api.h"

#define WINDOW_S 10    /* the longest run of the model: memory grows with it */
#define SILENCE 1e-4f  /* of full scale, around the mean */
#define FORMAT "speechbrain_kd.speaker/1"

typedef struct {
  OrtEnv* env;
  OrtSession* session;
  OrtMemoryInfo* memory;
  long sample_rate;
  size_t dimension;
  double shortest_s;
  double threshold; /* NAN: exported without a calibration */
} Model;

typedef struct {
  int16_t* samples;
  size_t count;
  long rate;
} Wave;

static const OrtApi* ort;

static void stop(const char* about, const char* why) {
  fprintf(stderr, "verify: error: %s: %s\n", about, why);
  exit(1);
}

/* Ends the program where onnxruntime says what is wrong. */
static void check(OrtStatus* status, const char* about) {
  if (status != NULL) stop(about, ort->GetErrorMessage(status));
}

static void* allocate(size_t size) {
  void* memory = malloc(size);
  if (memory == NULL) stop("memory", "there is not enough");
  return memory;
}

/* ---- the model ---- */

/* A text of the file's metadata, or NULL; free() it. */
static char* metadata(const OrtModelMetadata* facts, const char* key) {
  OrtAllocator* allocator;
  char *found = NULL, *copy = NULL;
  check(ort->GetAllocatorWithDefaultOptions(&allocator), key);
  check(ort->ModelMetadataLookupCustomMetadataMap(facts, allocator, key,
                                                  &found),
        key);
  if (found != NULL) {
    copy = allocate(strlen(found) + 1);
    strcpy(copy, found);
    check(ort->AllocatorFree(allocator, found), key);
  }
  return copy;
}

static double number(const OrtModelMetadata* facts, const char* key) {
  char* text = metadata(facts, key);
  double value = text == NULL ? NAN : strtod(text, NULL);
  free(text);
  return value;
}

static void open_model(Model* model, const char* path) {
  OrtSessionOptions* options;
  OrtModelMetadata* facts;
  char* format;
  double rate, dimension;

  check(ort->CreateEnv(ORT_LOGGING_LEVEL_FATAL, "verify", &model->env), path);
  check(ort->CreateSessionOptions(&options), path);
  check(ort->SetIntraOpNumThreads(options, 1), path);
  check(ort->DisableMemPattern(options), path);
  check(ort->CreateSession(model->env, path, options, &model->session), path);
  ort->ReleaseSessionOptions(options);
  check(ort->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault,
                                 &model->memory),
        path);
  check(ort->SessionGetModelMetadata(model->session, &facts), path);
  format = metadata(facts, "format");
  if (format == NULL || strcmp(format, FORMAT) != 0)
    stop(path, "expected its metadata to say format " FORMAT);
  free(format);
  rate = number(facts, "sample_rate");
  dimension = number(facts, "dimension");
  model->shortest_s = number(facts, "shortest_s");
  model->threshold = number(facts, "threshold");
  ort->ReleaseModelMetadata(facts);
  /* Written so that a NaN fails. */
  if (!(rate > 0 && dimension > 0 && model->shortest_s > 0))
    stop(path, "its metadata lacks sample_rate, dimension or shortest_s");
  model->sample_rate = (long)rate;
  model->dimension = (size_t)dimension;
}

static void close_model(Model* model) {
  ort->ReleaseMemoryInfo(model->memory);
  ort->ReleaseSession(model->session);
  ort->ReleaseEnv(model->env);
}

/* ---- a WAV file ---- */

static unsigned long little(const unsigned char* bytes, int width) {
  unsigned long value = 0;
  while (width-- > 0) value = value << 8 | bytes[width];
  return value;
}

static Wave read_wav(const char* path) {
  Wave wave = {NULL, 0, 0};
  unsigned char head[12], part[8], form[16];
  FILE* file = fopen(path, "rb");
  if (file == NULL) stop(path, "there is no such file");
  if (fread(head, 1, 12, file) != 12 || memcmp(head, "RIFF", 4) != 0 ||
      memcmp(head + 8, "WAVE", 4) != 0)
    stop(path, "it is no WAV file");
  while (fread(part, 1, 8, file) == 8) {
    unsigned long size = little(part + 4, 4);
    long skip = (long)(size + size % 2);
    if (memcmp(part, "fmt ", 4) == 0 && size >= 16) {
      unsigned long kind;
      if (fread(form, 1, 16, file) != 16) break;
      kind = little(form, 2);
      if ((kind != 1 && kind != 0xFFFE) || little(form + 2, 2) != 1 ||
          little(form + 14, 2) != 16)
        stop(path, "expected one channel of 16 bits");
      wave.rate = (long)little(form + 4, 4);
      skip -= 16;
    } else if (memcmp(part, "data", 4) == 0 && wave.rate > 0) {
      unsigned char* bytes = allocate(size + 1);
      size_t n;
      wave.count = fread(bytes, 1, size, file) / 2; /* it may be cut off */
      wave.samples = allocate(wave.count * sizeof(int16_t) + 1);
      for (n = 0; n < wave.count; n++)
        wave.samples[n] = (int16_t)little(bytes + 2 * n, 2);
      free(bytes);
      break;
    }
    if (fseek(file, skip, SEEK_CUR) != 0) break;
  }
  fclose(file);
  if (wave.samples == NULL) stop(path, "the WAV file ends before its samples");
  return wave;
}

/* ---- embeddings ---- */

/* Adds the embedding of a window [samples] of full scale 1. */
static void add_window(Model* model, const char* path, float* window,
                       size_t count, double* sum) {
  const char* inputs[] = {"waveform"};
  const char* outputs[] = {"embedding"};
  int64_t shape[] = {1, (int64_t)count};
  OrtValue *input = NULL, *output = NULL;
  float* embedding;
  size_t n;

  check(ort->CreateTensorWithDataAsOrtValue(
            model->memory, window, count * sizeof(float), shape, 2,
            ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, &input),
        path);
  check(ort->Run(model->session, NULL, inputs,
                 (const OrtValue* const*)&input, 1, outputs, 1, &output),
        path);
  check(ort->GetTensorMutableData(output, (void**)&embedding), path);
  for (n = 0; n < model->dimension; n++) sum[n] += embedding[n];
  ort->ReleaseValue(output);
  ort->ReleaseValue(input);
}

/* Scales samples to full scale 1; 0 if there is nothing but silence. */
static int scale(const int16_t* samples, size_t count, float* window) {
  double mean = 0;
  float high = -1, low = 1;
  size_t n;
  for (n = 0; n < count; n++) {
    window[n] = samples[n] / 32768.0f;
    mean += window[n] / (double)count;
    if (window[n] > high) high = window[n];
    if (window[n] < low) low = window[n];
  }
  return high - mean >= SILENCE || mean - low >= SILENCE;
}

/* The embedding of a recording, of norm 1; free() it. A long one is cut into
 * equal windows, and those of silence are left out. */
static double* embed(Model* model, const char* path) {
  Wave wave = read_wav(path);
  size_t longest = WINDOW_S * (size_t)model->sample_rate;
  size_t windows = (wave.count + longest - 1) / longest;
  double* sum = allocate(model->dimension * sizeof(double));
  float* window = allocate(longest * sizeof(float));
  double norm = 0;
  size_t n, at = 0, heard = 0;

  if (wave.rate != model->sample_rate)
    stop(path, "it has another sample rate than the model: resample it first");
  if (wave.count < model->shortest_s * model->sample_rate)
    stop(path, "it is too short: expected at least 0.3 s");
  for (n = 0; n < model->dimension; n++) sum[n] = 0;
  for (n = 0; n < windows; n++) {
    size_t count = wave.count / windows + (n < wave.count % windows);
    if (scale(wave.samples + at, count, window)) {
      add_window(model, path, window, count, sum);
      heard++;
    }
    at += count;
  }
  if (heard == 0) stop(path, "it is silent. Was the microphone on?");
  for (n = 0; n < model->dimension; n++) norm += sum[n] * sum[n];
  for (n = 0; n < model->dimension; n++) sum[n] /= sqrt(norm);
  free(window);
  free(wave.samples);
  return sum;
}

int main(int argc, char** argv) {
  Model model;
  double *one, *other, score = 0;
  size_t n;

  if (argc < 3 || argc > 4) {
    fprintf(stderr, "usage: %s MODEL.onnx ONE.wav [OTHER.wav]\n", argv[0]);
    return 2;
  }
  ort = OrtGetApiBase()->GetApi(ORT_API_VERSION);
  if (ort == NULL) stop("onnxruntime", "the library is older than its header");
  open_model(&model, argv[1]);
  one = embed(&model, argv[2]);
  if (argc == 3) {
    for (n = 0; n < model.dimension; n++) printf("%.7f\n", one[n]);
  } else {
    other = embed(&model, argv[3]);
    for (n = 0; n < model.dimension; n++) score += one[n] * other[n];
    printf("score %.6f", score);
    if (!isnan(model.threshold))
      printf(" threshold %.6f: %s", model.threshold,
             score >= model.threshold ? "same speaker" : "different speakers");
    printf("\n");
    free(other);
  }
  free(one);
  close_model(&model);
  return 0;
}
