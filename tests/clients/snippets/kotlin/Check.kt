import java.io.File
import java.io.IOException
import okhttp3.Cache
import okhttp3.HttpUrl.Companion.toHttpUrl
import okhttp3.OkHttpClient
import okhttp3.Request

// The cache stores a response with its ETag, sends If-None-Match and returns the stored body after a 304.
val http = OkHttpClient.Builder().cache(Cache(File("cache"), 1024 * 1024)).build()

fun main() {
    val url = "${System.getenv("SLIPWAY_URL")}/v1/check".toHttpUrl().newBuilder()
        .addQueryParameter("package_name", "com.freshmart.handheld")
        .addQueryParameter("version_code", "121")
        .addQueryParameter("device_id", System.getenv("DEVICE_ID"))
        .addQueryParameter("old_versions", """{"com.freshmart.handheld.labels":7}""")
        .addQueryParameter("org_info", """{"l3Code":"8007"}""")
        .build()
    val request = Request.Builder().url(url)
        .header("Authorization", "Bearer ${System.getenv("DEVICE_TOKEN")}")
        .build()
    http.newCall(request).execute().use { response ->
        val body = response.body.string()
        if (!response.isSuccessful) throw IOException("${response.code} $body")
        if (response.networkResponse?.code == 304) {
            println("304 the offers are unchanged")
        } else {
            println("200 $body")
        }
    }
}
