// Classifies images that arrive over the serial line, with a network that spikec wrote as C.
//
// Put net.h and net.c into this folder (spikec c net.nir -o . --name net). The board reads net_INPUTS real numbers,
// float32 as the board stores them (little-endian on all common boards), and answers with a line: the class, and the
// microseconds that the network took. A board with a sensor fills `image` itself instead.
#include "net.h"

static net_state network;  // all memory of the network
static float image[net_INPUTS];
static net_in coded[net_INPUTS];

void setup() {
  Serial.begin(115200);
  Serial.setTimeout(10000);
}

void loop() {
  size_t wanted = sizeof(image);
  if (Serial.readBytes((char *)image, wanted) != wanted) return;  // no whole image yet
  if (net_encode(coded, image) > 0) {
    Serial.println("the image holds numbers that are not finite");
    return;
  }
  unsigned long start = micros();
  int32_t found = net_classify(&network, coded);
  unsigned long took = micros() - start;
  Serial.print("class ");
  Serial.print((long)found);
  Serial.print(" in ");
  Serial.print(took);
  Serial.println(" us");
}
