// Made with: gcc (12.2) -g -O1 -shared -fPIC -nostdlib -Wl,--build-id=none -ffile-prefix-map=$PWD=/src -o types.so types.c
// and:       objcopy --only-keep-debug --compress-debug-sections=zlib types.so types.debug
typedef unsigned long size_type;

enum color { RED, GREEN = 5, BLUE = -1 };

struct point {
    int x, y;
};

union word {
    unsigned char bytes[4];
    unsigned int whole;
};

struct shape {
    char name[16];
    struct point origin;
    struct point *corners;
    size_type count;
    enum color color;
    unsigned int visible : 1;
    int level : 5;
    union {
        long number;
        double real;
    };
    short grid[2][3];
    struct shape *next;
    void (*draw)(struct shape *);
    union word word;
    _Bool done;
};

struct __attribute__((packed)) packet {
    char kind;
    int length;
};

struct hidden;

int area(const struct shape *shape, struct point by, unsigned char flag, const char *const text)
{
    return shape->origin.x * by.x + flag + text[0];
}

static struct point *inner(struct packet *packet, struct hidden *hidden)
{
    return packet->length ? (struct point *)hidden : 0;
}

struct point *outer(struct packet *packet, struct hidden *hidden)
{
    return inner(packet, hidden);
}

void nothing(void)
{
}

double many(float f, ...)
{
    return f;
}
